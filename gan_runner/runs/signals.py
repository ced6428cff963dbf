"""Signals that stop a run after it has saved."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from gan_runner.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that mean: save, and stop. A terminal that closes sends SIGHUP; schedulers send SIGUSR1 or SIGUSR2 some time
before they end a job."""


@dataclass
class StopSignals:
    """Remembers the first of `SIGNALS` that came; a second one has its usual effect. `nohup` is respected.

    Attributes:
        received: the signal, if one came.
        stepping: whether training steps are taken. Before the first, a signal stops at once.
        has_checkpoint: whether there was a checkpoint before the first step.
        process: that handles the signals; its children, which read data, ignore them.
    """

    received: int | None = None
    stepping: bool = False
    has_checkpoint: bool = False
    process: int = field(default_factory=os.getpid)
    previous: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> StopSignals:
        for signum in SIGNALS:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # as nohup has it
                self.previous[signum] = signal.signal(signum, self.receive)
        return self

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """Remember a signal.

        Raises:
            Stopped: there is nothing to save yet.
        """
        self.received = signum
        for number in self.previous:
            signal.signal(number, signal.SIG_DFL)
        if not self.stepping and os.getpid() == self.process:
            raise Stopped(signum, saved=self.has_checkpoint)

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)
