"""The directory of a run."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_runner.config.documents import read_yaml
from gan_runner.errors import ConfigError
from gan_runner.tools.files import remove_partial, write_text

log = logging.getLogger("gan_runner")


class RunDirectory:
    """The files of a run, which other tools rely on; `README.md` lists them."""

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
        """The numbered checkpoints, the newest first, which `last.pt` is a second name of."""
        return sorted(of_steps(self.checkpoints, ".pt"), key=step_of, reverse=True)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self.last.exists() or bool(self.earlier)

    def numbered(self, step: int) -> Path:
        """Where the checkpoint of a step is saved."""
        return self.checkpoints / f"step_{step:07d}.pt"

    def keep(self, step: int, earlier: int) -> None:
        """Make the checkpoint of a step `last.pt`, too; keep `earlier` many before it, and none of later steps.

        On a file system without hard links nothing before `last.pt` is kept.
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
        """Remove the directory of a run that never began, and the day's directory if nothing else is in it."""
        day = [self.path.parent] if self.path.parent.parent.name == "outputs" else []
        for folder in (self.path, *day):
            with suppress(OSError):  # it holds something, or another process was faster
                folder.rmdir()

    def backup_best(self, step: int) -> None:
        """Keep `best.pt`, which is of this step, as `best_STEP.pt` too, until `last.pt` knows of a better one."""
        aside = self.checkpoints / f"best_{step:07d}.pt"
        if self.best.exists() and not aside.exists():
            try:
                os.link(self.best, aside)
            except OSError:  # there are no hard links
                shutil.copyfile(self.best, aside)

    def settle_best(self, step: int | None) -> None:
        """Make the backup of this step `best.pt` again, if there is one, and remove all other backups."""
        for path in self.checkpoints.glob("best_*.pt"):
            if re.fullmatch(r"best_\d{7,}", path.stem):
                if int(path.stem[5:]) == step:
                    path.replace(self.best)
                path.unlink(missing_ok=True)

    def clear(self, step: int, best: int | None = None) -> None:
        """Prepare to resume from a step: remove what was logged after it, the summary, and half-written files.

        Args:
            step: of the checkpoint.
            best: the step whose checkpoint was the best until then, if any was.
        """
        self.settle_best(best)
        for folder in (self.path, self.samples, self.checkpoints):
            remove_partial(folder)
        self.summary.unlink(missing_ok=True)
        if self.metrics.exists():
            kept = [line for line in self.read_metrics() if line["step"] <= step]
            write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))

    def read_metrics(self) -> list[dict[str, Any]]:
        """What `metrics.jsonl` holds: a dictionary a line, of the step, and numbers or None by name.

        A last line without an end is being written, or its writer was killed: it is left out. So is, with a warning,
        whatever else is no line that a run writes.
        """
        written = self.metrics.read_bytes().split(b"\n")[:-1] if self.metrics.exists() else []
        sound = [line for line in map(metrics_of, written) if line is not None]
        if broken := len(written) - len(sound):
            log.warning("%s: %d of %d lines are broken and passed over", self.metrics, broken, len(written))
        return sound

    def last_metrics(self) -> dict[str, float]:
        """The value that was logged last under each name; NaN where it was not finite."""
        last: dict[str, float | None] = {}
        for line in self.read_metrics():
            last |= line
        last.pop("step", None)
        return {name: math.nan if value is None else value for name, value in last.items()}

    def read_overrides(self) -> list[str]:
        """What `overrides.yaml` holds: the words that were typed; none where it cannot be read, with a warning."""
        try:
            content = OmegaConf.to_container(read_yaml(self.overrides)) if self.overrides.exists() else []
            if not isinstance(content, list) or not all(isinstance(line, str) for line in content):
                raise ValueError(f"{self.overrides} is no list of texts")
        except (ValueError, ConfigError) as error:
            log.warning("%s; it counts as empty", error)
            return []
        return content


def metrics_of(line: bytes) -> dict[str, Any] | None:
    """A line of `metrics.jsonl`; None if no run has written it."""
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("step"), int):
        return None
    return content if all(isinstance(value, int | float | None) for value in content.values()) else None


def of_steps(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder that are named after a step; copies of them, with other names, are left out."""
    return [path for path in folder.glob(f"step_*{suffix}") if re.fullmatch(r"step_\d{1,18}", path.stem)]


def step_of(path: Path) -> int:
    """The step that a file is named after."""
    return int(path.stem.removeprefix("step_"))
