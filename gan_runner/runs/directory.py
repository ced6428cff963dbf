"""The directory of a run."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_runner.config.documents import read_yaml
from gan_runner.errors import ConfigError, ForeignDirectory
from gan_runner.runs.environment import versions
from gan_runner.tools.files import remove_partial, write_json, write_text
from gan_runner.tools.ownership import is_own

log = logging.getLogger("gan_runner")


class RunDirectory:
    """The paths of a run's files. Other tools rely on them; `README.md` lists them."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.yaml"
        self.overrides = path / "overrides.yaml"
        self.method = path / "method.md"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.last = path / "checkpoints" / "last.pt"
        self.best = path / "checkpoints" / "best.pt"
        self.log = path / "run.log"

    @property
    def earlier(self) -> list[Path]:
        """The numbered checkpoints, newest first. `last.pt` is a second name of the newest."""
        return sorted(of_steps(self.checkpoints, ".pt"), key=step_of, reverse=True)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self.last.exists() or bool(self.earlier)

    def numbered(self, step: int) -> Path:
        """The path of the checkpoint of a step."""
        return self.checkpoints / f"step_{step:07d}.pt"

    def keep(self, step: int, earlier: int) -> None:
        """Make the checkpoint of a step `last.pt`; keep `earlier` checkpoints before it, and none of later steps.

        A file system without hard links keeps only `last.pt`.
        """
        name, second = self.numbered(step), self.checkpoints / ".last.pt.partial"
        second.unlink(missing_ok=True)
        if earlier:
            with suppress(OSError):
                os.link(name, second)
        (second if second.exists() else name).replace(self.last)
        for path in self.earlier:
            if step_of(path) > step:
                path.unlink(missing_ok=True)
        self.prune(step, earlier)

    def prune(self, step: int, earlier: int) -> None:
        """Remove the checkpoints before a step, except the last `earlier` of them."""
        before = [path for path in self.earlier if step_of(path) < step]
        for path in before[earlier:]:
            path.unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Remove the directory of a run that never started, and the day's directory if it is empty then."""
        if self.path.is_dir() and [path.name for path in self.path.iterdir()] == [self.overrides.name]:
            self.overrides.unlink()  # a job of a sweep writes it first
        day = [self.path.parent] if self.path.parent.parent.name == "outputs" else []
        for folder in (self.path, *day):
            with suppress(OSError):  # not empty, or already removed
                folder.rmdir()

    def link_latest(self) -> None:
        """Let `outputs/latest` lead to this run, if it lies in a directory `outputs`. Only a link is replaced."""
        path = self.path.absolute()
        outputs = next((folder for folder in path.parents if folder.name == "outputs"), None)
        latest = (outputs or path) / "latest"
        if outputs is None or latest in (path, *path.parents) or (latest.exists() and not latest.is_symlink()):
            return
        link = outputs / f".latest.{os.getpid()}-{secrets.token_hex(4)}.partial"
        with suppress(OSError):  # no links on this file system
            link.symlink_to(path.relative_to(outputs), target_is_directory=True)
            link.replace(latest)

    def backup_best(self, step: int) -> None:
        """Copy `best.pt` of this step to `best_STEP.pt`, in case the run is killed before the next `last.pt`."""
        aside = self.checkpoints / f"best_{step:07d}.pt"
        if self.best.exists() and not aside.exists():
            try:
                os.link(self.best, aside)
            except OSError:  # no hard links on this file system
                shutil.copyfile(self.best, aside)

    def settle_best(self, step: int | None) -> None:
        """Restore `best.pt` from the backup of this step, if there is one, and remove all other backups."""
        for path in self.checkpoints.glob("best_*.pt"):
            if re.fullmatch(r"best_\d{7,}", path.stem):
                if int(path.stem[5:]) == step:
                    path.replace(self.best)
                path.unlink(missing_ok=True)

    def clear(self, step: int, best: int | None = None) -> None:
        """Prepare to resume from a step: remove later metrics, the summary, and partial files.

        Args:
            step: the step of the checkpoint.
            best: the step of the best checkpoint up to then, if any.
        """
        self.settle_best(best)
        for folder in (self.path, self.samples, self.checkpoints):
            remove_partial(folder)
        self.summary.unlink(missing_ok=True)
        if self.metrics.exists():
            kept = [line for line in self.read_metrics() if line["step"] <= step]
            write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`: dictionaries with the step, and numbers or None by name.

        An incomplete last line is skipped: it is being written, or its writer was killed. Other invalid lines are
        skipped with a warning.
        """
        written = self.metrics.read_bytes().split(b"\n")[:-1] if self.metrics.exists() else []
        valid = [line for line in map(metrics_of, written) if line is not None]
        if broken := len(written) - len(valid):
            log.warning("%s: skipped %d of %d lines, which are broken", self.metrics, broken, len(written))
        return valid

    def last_metrics(self) -> dict[str, float]:
        """The last logged value of each name; NaN where it was not finite."""
        last: dict[str, float | None] = {}
        for line in self.read_metrics():
            last |= line
        last.pop("step", None)
        return {name: math.nan if value is None else value for name, value in last.items()}

    def read_overrides(self) -> list[str]:
        """The typed options in `overrides.yaml`; none, with a warning, if it cannot be read."""
        try:
            content = OmegaConf.to_container(read_yaml(self.overrides)) if self.overrides.exists() else []
            if not isinstance(content, list) or not all(isinstance(line, str) for line in content):
                raise ValueError(f"{self.overrides} is not a list of texts")
        except (ValueError, ConfigError) as error:
            log.warning("%s; it is treated as empty", error)
            return []
        return content


NOT_STARTED_FILES = {"multirun.yaml", "environment.json", "overrides.yaml", "summary.json"}
"""The files of a sweep, and of a run in it, that never started. A lock file would mean that it still may."""


def check_own(path: Path, option: str, in_sweep: bool = False) -> None:
    """Check that a directory is empty (but for hidden files), or was written by this package.

    Args:
        path: the directory, which need not exist.
        option: the option that names it, for the message.
        in_sweep: whether it belongs to a run of a sweep, which writes some files before it starts.

    Raises:
        ForeignDirectory: it holds something else.
    """
    try:
        names = {each.name for each in path.iterdir() if not each.name.startswith(".")}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ForeignDirectory(f"{path} is a file; choose another {option}") from None
    if in_sweep:
        names = {name for name in names - NOT_STARTED_FILES if not name.endswith(".log")}
    if names and not is_own(path):
        shown = ", ".join(sorted(names)[:3]) + ", …" * (len(names) > 3)
        raise ForeignDirectory(
            f"{path.absolute()} holds files that no run wrote ({shown}); a run could overwrite them, so choose another "
            f"{option}"
        )


def mark_own(path: Path) -> None:
    """Write `environment.json` into the directory of a sweep or of several seeds, before anything else."""
    if not is_own(path):
        write_json(path / "environment.json", {"versions": versions()})


def metrics_of(line: bytes) -> dict[str, Any] | None:
    """Parse a line of `metrics.jsonl`; None if it is invalid."""
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("step"), int):
        return None
    return content if all(isinstance(value, int | float | None) for value in content.values()) else None


def of_steps(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder named `step_N` plus suffix. Copies with other names are left out."""
    return [path for path in folder.glob(f"step_*{suffix}") if re.fullmatch(r"step_\d{1,18}", path.stem)]


def step_of(path: Path) -> int:
    """The step in the name of a file."""
    return int(path.stem.removeprefix("step_"))
