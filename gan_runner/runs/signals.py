"""Signals that stop a run after it has saved."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from gan_runner.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Those that mean: save, and stop. A terminal that closes sends the third, schedulers one of the last two, some time
before they end a job."""


@dataclass
class StopSignals:
    """Remembers that one of `SIGNALS` came; a second one takes its usual effect at once. `nohup` is respected.

    Attributes:
        received: which.
        stepping: whether there is something to be saved first; before that it stops what is being done.
        has_checkpoint: whether there was a checkpoint before that.
        process: whose they are; those that it forks, to read data, leave them to it.
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
        """Note it.

        Raises:
            Stopped: there was nothing to be saved yet.
        """
        self.received = signum
        for number in self.previous:
            signal.signal(number, signal.SIG_DFL)
        if not self.stepping and os.getpid() == self.process:
            raise Stopped(signum, saved=self.has_checkpoint)

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)
