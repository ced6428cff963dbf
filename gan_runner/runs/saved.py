"""Read runs back from their directories. All commands, sweeps, pictures and scripts use this module."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig, OmegaConf

from gan_runner.config.documents import read_yaml
from gan_runner.config.environment import with_variables
from gan_runner.config.fingerprint import NON_TRAINING_KEYS, RUNTIME_KEYS, training_options
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError, DataError
from gan_runner.runs.directory import RunDirectory

if TYPE_CHECKING:
    from gan_runner.system import System

MARKS = {"overrides.yaml", "summary.json", "metrics.jsonl"}
"""A directory that holds one of these files is the directory of a run."""


@dataclass(frozen=True)
class SavedRun:
    """A run, finished or not, read from its directory. Each file is read once, on first use.

    A broken `config.yaml`, `environment.json` or `summary.json` raises a `DataError` when it is read. A broken
    `overrides.yaml` is treated as empty, and broken lines of `metrics.jsonl` are skipped, with a warning.

    Args:
        path: the directory.
    """

    path: Path

    @property
    def directory(self) -> RunDirectory:
        """The paths of the run's files."""
        return RunDirectory(self.path)

    @cached_property
    def config(self) -> DictConfig:
        """The content of `config.yaml`; empty if the run failed before it started."""
        path = self.directory.config
        try:
            content = read_yaml(path) if path.exists() else OmegaConf.create()
        except (ValueError, ConfigError) as error:
            raise broken(path, error) from error
        if not isinstance(content, DictConfig):
            raise broken(path, "it has no keys")
        return content

    @cached_property
    def overrides(self) -> list[str]:
        """The options that were typed."""
        return self.directory.read_overrides()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`; if there is none yet, the status `running`."""
        path = self.directory.summary
        summary = read_object(path) if path.exists() else {"status": "running"}
        needed = ("status", "best", "final") if summary.get("status") == "completed" else ("status",)
        if missing := [key for key in needed if key not in summary]:
            raise broken(path, f"it has no {missing[0]}")
        return summary

    @property
    def outcome(self) -> dict[str, Any]:
        """The summary of a run whose process has ended. Without one the run was killed; with a broken one it failed."""
        try:
            summary = self.summary
        except DataError as error:
            return {"status": "failed", "error": str(error)}
        killed = {"status": "killed", "error": "the run ended without a summary.json"}
        return killed if summary["status"] == "running" else summary

    @property
    def method(self) -> str:
        """The method sheet of the run; empty if the run was saved before there were method sheets."""
        path = self.directory.method
        return path.read_text(encoding="utf-8", errors="replace").strip("`\n") if path.exists() else ""

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, as dictionaries."""
        return self.directory.read_metrics()

    @property
    def label(self) -> str:
        """The names of the chosen parts."""
        group = read_object(self.directory.environment).get("group", "")
        return self.summary.get("label") or group.rpartition(" ")[0]

    @property
    def seed(self) -> int | None:
        """The seed; None if the run failed before its seed was known."""
        typed = [override.partition("=")[2] for override in self.overrides if override.startswith("seed=")]
        return self.config.get("seed", int(typed[-1]) if typed and typed[-1].isdigit() else None)

    @property
    def chosen(self) -> list[str]:
        """The typed options that determine the training result, except the seed."""
        keys = [(override, override.partition("=")[0].lstrip("+~").split(".")) for override in self.overrides]
        return [typed for typed, key in keys if key[0] not in NON_TRAINING_KEYS and key[-1] not in RUNTIME_KEYS]

    @property
    def kind(self) -> str:
        """A key that is equal for runs which differ only in the seed."""
        return json.dumps(training_options(self.config) or self.chosen, sort_keys=True)

    @property
    def terms(self) -> list[str]:
        """The terms of all players, as `PLAYER/TERM`."""
        players = self.config.get("players", {})
        return [f"{name}/{term}" for name, player in players.items() for term in player.get("terms", {})]

    def curve(self, key: str) -> dict[int, float | None]:
        """The logged values of a key, by step; None where a value was not finite."""
        return {line["step"]: line[key] for line in self.lines if key in line}

    def checkpoint(self, which: Which = "last") -> Checkpoint:
        """The last or the best checkpoint.

        Raises:
            CheckpointError: there is none, or it cannot be read.
        """
        return open_checkpoint(self.path, which)


Which = Literal["last", "best"]


@dataclass(frozen=True)
class Checkpoint:
    """The saved state of a run at one step.

    Attributes:
        path: the file.
        state: its content (`gan_runner.runs.checkpoints.Content`).
    """

    path: Path
    state: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The directory of the run; for a file outside a run's directory, the file's own directory."""
        return self.path.parent.parent if self.is_in_run else self.path.parent

    @property
    def is_in_run(self) -> bool:
        """Whether the file lies in the `checkpoints` directory of a run."""
        return self.path.parent.name == "checkpoints"

    def config(self, device: str | None = None, trusted: Iterable[str] = ()) -> DictConfig:
        """The unresolved configuration that was trained.

        Args:
            device: the device to use instead of the one it was trained on.
            trusted: packages whose code may run. The file's own list is ignored.
        """
        config = OmegaConf.create(self.state["config"])
        assert isinstance(config, DictConfig)
        config.trusted = list(trusted)
        if device is not None:
            config.trainer.device = device
        return config

    def config_anywhere(self, device: str | None = None, trusted: Iterable[str] = ()) -> DictConfig:
        """The same for use without resuming: environment variables that are not set have the values they had."""
        return with_variables(self.config(device, trusted), self.state.get("variables", {}))

    def system(self, device: str | None = None, trusted: Iterable[str] = ()) -> System:
        """The trained system. The arguments are those of `config`.

        Raises:
            CheckpointError: the saved state does not fit.
            ConfigError: the configuration cannot work, or names code outside the allow-list.
        """
        return self.build(resolve(self.config_anywhere(device, trusted)))

    def build(self, config: DictConfig) -> System:
        """The system of a configuration, with the trained weights.

        Args:
            config: this checkpoint's configuration, resolved, possibly with some options changed.

        Raises:
            CheckpointError: the saved state does not fit.
            ConfigError: the configuration cannot work, or names code outside the allow-list.
        """
        from gan_runner.build import build_system  # imported here, and below, to read runs without importing torch

        system = build_system(config)
        system.load_state_dict(self.state["system"])
        return system


def open_checkpoint(path: Path, which: Which = "last") -> Checkpoint:
    """Read a checkpoint: this file, or the last or best one of this run's directory.

    Raises:
        CheckpointError: there is none, or it cannot be read.
        ConfigError: the best one of a file is asked for.
    """
    if which == "best" and path.is_file():
        raise ConfigError(f"{path} is one checkpoint; give the directory of its run to choose the best one")
    from gan_runner.runs.checkpoints import load_checkpoint

    directory = RunDirectory(path)
    file = {"last": directory.last, "best": directory.best}[which] if path.is_dir() else path
    return Checkpoint(file, load_checkpoint(file))


def runs_in(path: Path) -> list[SavedRun]:
    """All runs at or below a directory, in natural order of their paths."""
    folders = [Path(folder) for folder, _, files in os.walk(path) if MARKS.intersection(files)]
    return [SavedRun(folder) for folder in sorted(folders, key=in_order)]


def in_order(path: Path) -> list[tuple[int, str]]:
    """A sort key that puts 2 before 10, and 2/1 between them."""
    return [(len(part), part) for part in path.parts]


def find_runs(paths: Iterable[Path]) -> list[SavedRun]:
    """All runs at or below some directories, each once.

    Raises:
        ConfigError: there is none at or below one of them.
    """
    found: dict[Path, SavedRun] = {}
    for path in paths:
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise ConfigError(f"{path} {what}; give the directory of a run or of a sweep")
        runs = runs_in(path)
        if not runs:
            raise ConfigError(
                f"{path} holds no run: there is no overrides.yaml, summary.json or metrics.jsonl in it or below it; "
                "give the directory of a run or of a sweep"
            )
        for run in runs:
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; empty if there is no file.

    Raises:
        DataError: it is broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError too
        raise broken(path, error) from error
    if not isinstance(content, dict):
        raise broken(path, "it is not a JSON object")
    return content


def broken(path: Path, reason: object) -> DataError:
    """The error for a file that no run writes."""
    return DataError(f"{path} is broken ({reason}); leave out this run, or repair the file")
