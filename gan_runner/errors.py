"""What can end a run; each carries one line for people, and has its exit code in `gan_runner.cli.run`."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path


class BadInput(Exception):  # noqa: N818
    """What the user gave cannot work: a line that says what, why and what to do. Nothing was touched."""


class ConfigError(BadInput):
    """A configuration that cannot work."""


class DirectoryInUse(ConfigError):  # noqa: N818
    """Another run is in the directory."""


class DataError(BadInput):
    """Data is missing or broken."""


class CheckpointError(BadInput):
    """A checkpoint is missing, broken, or of another kind."""


class DiskFull(Exception):  # noqa: N818
    """There is no room for a file; what was there before is as it was.

    Attributes:
        what: the message without advice.
    """

    def __init__(self, path: Path, size: int):
        free = shutil.disk_usage(path.parent).free
        missing = max(size - free, 0) or size  # a quota may be full where the disk is not
        self.what = (
            f"the disk of {path.parent} is full: {path.name} takes {size / 1e6:.3g} MB, {free / 1e6:.3g} MB are free, "
            f"{missing / 1e6:.3g} MB are missing"
        )
        super().__init__(f"{self.what}; make room, and resume=RUN_DIR goes on")


class Diverged(Exception):  # noqa: N818
    """A loss, a gradient or a weight is no longer finite.

    Args:
        step: after which this was found.
        names: of what is not finite.
        saved_step: the step of the last checkpoint, if there is one.
        rollbacks: how often the run went back to a checkpoint before.

    Attributes:
        what: the message without advice.
    """

    def __init__(self, step: int, names: Sequence[str], saved_step: int | None, rollbacks: int = 0):
        self.step, self.names, self.saved_step = step, names, saved_step
        self.what = f"training diverged at step {step} (non-finite: {', '.join(names)})"
        resume = "" if saved_step is None else f"resume from the checkpoint of step {saved_step}, or "
        advice = f"{resume}start again with a smaller optimizer.lr or a gradient penalty"
        before = f". It went back {rollbacks} times before" if rollbacks else ""
        super().__init__(f"{self.what}; {advice}{before}")


class ProcessLost(Exception):  # noqa: N818
    """Another process of this run does not answer: it failed, was killed, or hangs."""

    def __init__(self) -> None:
        super().__init__("another process of this run has ended, or does not answer; resume=RUN_DIR goes on")


class Stopped(BaseException):
    """A signal asked the run to stop; it was saved, unless there was nothing new to be.

    As KeyboardInterrupt it is no Exception, so that nobody takes it for an error of what was being done.
    """

    def __init__(self, signum: int, saved: bool = True):
        after = "and saved; resume=RUN_DIR goes on" if saved else "before its first step; type the line again"
        super().__init__(f"stopped by {signal.Signals(signum).name} {after}")
        self.signum = signum
