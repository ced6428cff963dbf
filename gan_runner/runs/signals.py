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

    Attributes:
        received: the signal, if one came.
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
        for number in self.previous:
            signal.signal(number, signal.SIG_DFL)
        if not self.stepping and os.getpid() == self.process:
            raise Stopped(signum, saved=self.has_checkpoint)

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)
