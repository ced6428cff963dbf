"""What can end a run; each carries one line for people, and has its exit code in `gan_runner.cli`."""

from __future__ import annotations

import signal


class BadInput(Exception):  # noqa: N818
    """What the user gave cannot work: a line that says what, why and what to do. Nothing was touched."""


class ConfigError(BadInput):
    """A configuration that cannot work."""


class DataError(BadInput):
    """Data is missing or broken."""


class CheckpointError(BadInput):
    """A checkpoint is missing, broken, or of another kind."""


class Diverged(Exception):  # noqa: N818
    """A loss or a gradient is no longer finite."""


class ProcessLost(Exception):  # noqa: N818
    """Another process of this run does not answer: it failed, was killed, or hangs."""

    def __init__(self) -> None:
        super().__init__("another process of this run has ended, or does not answer; resume=RUN_DIR goes on")


class Stopped(Exception):  # noqa: N818
    """A signal asked the run to stop; it was saved."""

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} and saved; resume=RUN_DIR goes on")
        self.signum = signum
