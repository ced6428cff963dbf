"""Signals that stop a run after it saved."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from gan_runner.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals on which a run saves and stops. A closing terminal sends SIGHUP; job schedulers send SIGUSR1 or SIGUSR2
before they end a job."""


@dataclass
class StopSignals:
    """Context that stores the first signal of `SIGNALS`. A second one has its usual effect. `nohup` is respected.

    Where a launcher handles the second one, it waits until this context ends: SLURM sends SIGTERM and SIGUSR2 to a job
    that it preempts, and submitit ignores the first and requeues the job on the second.

    Attributes:
        received: the signal, if one came.
        postponed: later signals that a launcher handles.
        stepping: whether training has started. Before, a signal stops the run at once.
        has_checkpoint: whether there was a checkpoint before the first step.
        process: the process that handles the signals; its child processes, which read data, ignore them.
        previous: the handlers outside this context.
    """

    received: int | None = None
    stepping: bool = False
    has_checkpoint: bool = False
    process: int = field(default_factory=os.getpid)
    previous: dict[int, Any] = field(default_factory=dict)
    postponed: list[int] = field(default_factory=list)

    def __enter__(self) -> StopSignals:
        for signum in SIGNALS:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup ignores it
                self.previous[signum] = signal.signal(signum, self.receive)
        return self

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """Store a signal.

        Raises:
            Stopped: training has not started, so there is nothing to save.
        """
        self.received = signum
        for number, handler in self.previous.items():
            signal.signal(number, self.postpone if is_of_launcher(handler) else signal.SIG_DFL)
        if not self.stepping and os.getpid() == self.process:
            raise Stopped(signum, saved=self.has_checkpoint)

    def postpone(self, signum: int, frame: FrameType | None) -> None:
        """Keep a signal for the launcher's handler."""
        self.postponed.append(signum)

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)
        for signum in self.postponed:
            signal.raise_signal(signum)


def is_of_launcher(handler: Any) -> bool:
    """Whether a signal handler was set by whoever started the run, such as submitit."""
    return callable(handler) and handler is not signal.default_int_handler


def forward_signal(signum: int) -> None:
    """Call the handler that a signal had before the run, now that the run is saved: submitit's requeues its job."""
    handler: Any = signal.getsignal(signum)
    if is_of_launcher(handler):
        handler(signum, None)
