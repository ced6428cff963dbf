"""The errors that can end a run. Each carries one line for the user; `gan_runner.cli.messages` has the exit codes."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

RESUME_HINT = "resume=RUN_DIR"
"""The placeholder in an error line for the option that resumes the run; `with_directory` fills it in."""


def with_directory(line: str, directory: Path) -> str:
    """An error line with the run's directory in place of the placeholder."""
    return line.replace(RESUME_HINT, shlex.quote(f"resume={directory}"))


class BadInput(Exception):  # noqa: N818
    """Input that cannot work: options, data or checkpoint. Nothing was written."""


class ConfigError(BadInput):
    """A configuration that cannot work."""


class DirectoryInUse(ConfigError):  # noqa: N818
    """Another run uses the directory."""


class ForeignDirectory(ConfigError):  # noqa: N818
    """A directory for a new run holds files that no run wrote."""


class DataError(BadInput):
    """Data is missing or broken."""


class WorkerLost(DataError):  # noqa: N818
    """A process that decodes images could not be started, or was killed.

    Args:
        error: the error of the system, or torch's report of the process.
    """

    def __init__(self, error: BaseException):
        reason = " ".join(str(error).split()).rstrip(".")
        super().__init__(
            f"a process that decodes images was killed or could not be started ({reason}); set dataset.workers=0, or "
            "free some memory"
        )

    @staticmethod
    def is_reported_by(error: BaseException) -> bool:
        """Whether torch reports a killed process. It does so at any time, by a signal handler."""
        return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


class CheckpointError(BadInput):
    """A checkpoint is missing or broken, or does not fit the run."""


class DiskFull(Exception):  # noqa: N818
    """There is no room for a file. Its previous version is intact.

    Args:
        path: the file.
        size: of its new content, in bytes.
        limit: whether a limit of the size of files was reached, and not that of the disk.

    Attributes:
        problem: the message, with what to do before the command is typed again.
    """

    def __init__(self, path: Path, size: int, limit: bool = False):
        free = shutil.disk_usage(path.parent).free
        missing = max(size - free, 0) or size  # a quota may be full where the disk is not
        self.problem = (
            f"{path} needs {size / 1e6:.3g} MB, more than a file may have here; raise the limit (ulimit -f)"
            if limit
            else f"the disk of {path.parent} is full: {path.name} needs {size / 1e6:.3g} MB, {free / 1e6:.3g} MB are "
            f"free, {missing / 1e6:.3g} MB are missing; free some space"
        )
        super().__init__(f"{self.problem}, then continue with: gan-run {RESUME_HINT}")


class Diverged(Exception):  # noqa: N818
    """A loss, a gradient or a weight is not finite.

    Args:
        step: the step after which it was found.
        names: the names of the non-finite values.
        saved_step: the step of the last checkpoint, if there is one.
        rollbacks: how often the run was already rolled back to a checkpoint.

    Attributes:
        problem: the message without advice.
    """

    def __init__(self, step: int, names: Sequence[str], saved_step: int | None, rollbacks: int = 0):
        self.step, self.names, self.saved_step = step, names, saved_step
        self.problem = f"training diverged at step {step} (non-finite: {', '.join(names)})"
        resume = (
            "" if saved_step is None else f"resume from step {saved_step} (gan-run {RESUME_HINT} optimizer.lr=…), or "
        )
        before = f" (after {rollbacks} rollbacks)" if rollbacks else ""
        super().__init__(
            f"{self.problem}{before}; {resume}start again with a smaller optimizer.lr or regularizer=[gradient_penalty]"
        )


class ProcessLost(Exception):  # noqa: N818
    """Another process of this run does not respond: it failed, was killed, or hangs."""

    def __init__(self) -> None:
        super().__init__(
            f"another process of this run ended or does not respond; start all processes again with {RESUME_HINT}"
        )


class JobsLost(Exception):  # noqa: N818
    """The launcher of a sweep failed, for example because a job was killed.

    Args:
        directory: the directory of the sweep.
        error: the launcher's error.
    """

    def __init__(self, directory: Path, error: Exception):
        reason = f"{type(error).__name__}: {error}".partition(". ")[0].splitlines()[0]
        super().__init__(
            f"the launcher ended the sweep ({reason}); to continue its unfinished runs, type the same command with "
            f"hydra.sweep.dir={directory}"
        )


class Stopped(BaseException):
    """A signal stopped the run. It was saved if it had taken a step.

    Like KeyboardInterrupt it is no Exception, so that no handler mistakes it for a failure.
    """

    def __init__(self, signum: int, saved: bool = True):
        after = (
            f"after saving; continue with: gan-run {RESUME_HINT}"
            if saved
            else "before the first step; type the same command again"
        )
        super().__init__(f"stopped by {signal.Signals(signum).name} {after}")
        self.signum = signum
