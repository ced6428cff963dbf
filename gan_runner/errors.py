"""Exceptions that end a run. Each message is one line for the user; `gan_runner.cli.run` maps each to an exit code."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path


class BadInput(Exception):  # noqa: N818
    """The user's input cannot work. The message says what is wrong, why, and what to do. Nothing was written."""


class ConfigError(BadInput):
    """A configuration that cannot work."""


class DirectoryInUse(ConfigError):  # noqa: N818
    """Another run uses the directory."""


class DataError(BadInput):
    """Data is missing or broken."""


class CheckpointError(BadInput):
    """A checkpoint is missing, broken, or belongs to another configuration."""


class DiskFull(Exception):  # noqa: N818
    """The disk has no room for a file. Existing files are unchanged.

    Attributes:
        problem: the message without advice.
    """

    def __init__(self, path: Path, size: int):
        free = shutil.disk_usage(path.parent).free
        missing = max(size - free, 0) or size  # a quota may be full where the disk is not
        self.problem = (
            f"the disk of {path.parent} is full: {path.name} takes {size / 1e6:.3g} MB, {free / 1e6:.3g} MB are free, "
            f"{missing / 1e6:.3g} MB are missing"
        )
        super().__init__(f"{self.problem}; free some space, and continue with resume=RUN_DIR")


class Diverged(Exception):  # noqa: N818
    """A loss, a gradient or a weight is not finite.

    Args:
        step: the step after which this was found.
        names: the names of the non-finite values.
        saved_step: the step of the last checkpoint, or None without one.
        rollbacks: the number of times that the run already went back to a checkpoint.

    Attributes:
        problem: the message without advice.
    """

    def __init__(self, step: int, names: Sequence[str], saved_step: int | None, rollbacks: int = 0):
        self.step, self.names, self.saved_step = step, names, saved_step
        self.problem = f"training diverged at step {step} (non-finite: {', '.join(names)})"
        resume = "" if saved_step is None else f"resume from the checkpoint of step {saved_step}, or "
        advice = f"{resume}start again with a smaller optimizer.lr or a gradient penalty"
        before = f". The run already went back to a checkpoint {rollbacks} times" if rollbacks else ""
        super().__init__(f"{self.problem}; {advice}{before}")


class ProcessLost(Exception):  # noqa: N818
    """Another process of this run does not answer: it failed, was killed, or hangs."""

    def __init__(self) -> None:
        super().__init__("another process of this run ended or does not answer; continue with resume=RUN_DIR")


class Stopped(BaseException):
    """A signal stopped the run. It is saved if it made a step.

    It derives from BaseException, as KeyboardInterrupt does, so that `except Exception` does not catch it.
    """

    def __init__(self, signum: int, saved: bool = True):
        after = (
            "and saved; continue with resume=RUN_DIR" if saved else "before its first step; run the same command again"
        )
        super().__init__(f"stopped by {signal.Signals(signum).name} {after}")
        self.signum = signum
