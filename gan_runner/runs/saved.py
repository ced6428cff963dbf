"""Runs, read back from their directories: the one reader of all commands, sweeps, pictures and scripts."""

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
from gan_runner.config.fingerprint import NON_TRAINING_KEYS, RUNTIME_KEYS, training_options
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError, DataError
from gan_runner.runs.directory import RunDirectory

if TYPE_CHECKING:
    from gan_runner.system import System

MARKS = {"overrides.yaml", "summary.json", "metrics.jsonl"}
"""A directory that holds one of these is that of a run."""


@dataclass(frozen=True)
class SavedRun:
    """A run, finished or not, as its directory has it. A file is read once, when it is first asked for.

    Where `config.yaml`, `environment.json` or `summary.json` is broken, whatever needs it raises a `DataError` of one
    line. A broken `overrides.yaml` counts as empty and broken lines of `metrics.jsonl` are left out, with a warning.

    Args:
        path: of the directory.
    """

    path: Path

    @property
    def directory(self) -> RunDirectory:
        """Where its files are."""
        return RunDirectory(self.path)

    @cached_property
    def config(self) -> DictConfig:
        """`config.yaml`; empty if the run failed before it began."""
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
        """What was typed."""
        return self.directory.read_overrides()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """`summary.json`; of a run that has none yet, the status `running`."""
        path = self.directory.summary
        summary = read_object(path) if path.exists() else {"status": "running"}
        needed = ("status", "best", "final") if summary.get("status") == "completed" else ("status",)
        if missing := [key for key in needed if key not in summary]:
            raise broken(path, f"it has no {missing[0]}")
        return summary

    @property
    def outcome(self) -> dict[str, Any]:
        """The summary of a run that nobody works on any more: without a readable one it has failed."""
        try:
            summary = self.summary
        except DataError as error:
            return {"status": "failed", "error": str(error)}
        killed = {"status": "failed", "error": "it left no summary, as if it had been killed"}
        return killed if summary["status"] == "running" else summary

    @property
    def method(self) -> str:
        """What it trains, in formulas; empty of a run that was made before there were sheets."""
        path = self.directory.method
        return path.read_text(encoding="utf-8", errors="replace").strip("`\n") if path.exists() else ""

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """`metrics.jsonl`, a dictionary a line."""
        return self.directory.read_metrics()

    @property
    def label(self) -> str:
        """The chosen parts in words."""
        group = read_object(self.directory.environment).get("group", "")
        return self.summary.get("label") or group.rpartition(" ")[0]

    @property
    def seed(self) -> int | None:
        """Its seed, if it came so far as to have one."""
        typed = [override.partition("=")[2] for override in self.overrides if override.startswith("seed=")]
        return self.config.get("seed", int(typed[-1]) if typed and typed[-1].isdigit() else None)

    @property
    def chosen(self) -> list[str]:
        """What was typed of that which is trained, and not of the seed, or of where and how."""
        keys = [(override, override.partition("=")[0].lstrip("+~").split(".")) for override in self.overrides]
        return [typed for typed, key in keys if key[0] not in NON_TRAINING_KEYS and key[-1] not in RUNTIME_KEYS]

    @property
    def kind(self) -> str:
        """The same for runs that differ in the seed alone."""
        return json.dumps(training_options(self.config) or self.chosen, sort_keys=True)

    @property
    def terms(self) -> list[str]:
        """What the players descend, as `PLAYER/TERM`."""
        players = self.config.get("players", {})
        return [f"{name}/{term}" for name, player in players.items() for term in player.get("terms", {})]

    def curve(self, key: str) -> dict[int, float | None]:
        """What was logged under a key, by step; None where it was not finite."""
        return {line["step"]: line[key] for line in self.lines if key in line}

    def checkpoint(self, which: Which = "last") -> Checkpoint:
        """Its last or its best checkpoint.

        Raises:
            CheckpointError: there is none, or it cannot be read.
        """
        return open_checkpoint(self.path, which)


Which = Literal["last", "best"]


@dataclass(frozen=True)
class Checkpoint:
    """What a run saved at a step.

    Attributes:
        path: of the file.
        state: its content, as `gan_runner.runs.checkpoints.Content` says.
    """

    path: Path
    state: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The directory of its run; of a file that lies elsewhere, that where it lies."""
        return self.path.parent.parent if self.is_in_run else self.path.parent

    @property
    def is_in_run(self) -> bool:
        """Whether it lies where a run saves it."""
        return self.path.parent.name == "checkpoints"

    def config(self, device: str | None = None, trusted: Iterable[str] = ()) -> DictConfig:
        """The configuration that was trained, interpolations and all.

        Args:
            device: to use instead of the one it was trained on.
            trusted: packages whose code may run; what the file says of that does not count.
        """
        config = OmegaConf.create(self.state["config"])
        assert isinstance(config, DictConfig)
        config.trusted = list(trusted)
        if device is not None:
            config.trainer.device = device
        return config

    def system(self, device: str | None = None, trusted: Iterable[str] = ()) -> System:
        """The system, as it was trained; arguments are those of `config`.

        Raises:
            CheckpointError: what was saved does not fit.
            ConfigError: the configuration cannot work, or names code outside the allow-list.
        """
        return self.build(resolve(self.config(device, trusted)))

    def build(self, config: DictConfig) -> System:
        """The system of a configuration, with what was trained.

        Args:
            config: this checkpoint's, resolved, perhaps with other options than the run had.

        Raises:
            CheckpointError: what was saved does not fit.
            ConfigError: the configuration cannot work, or names code outside the allow-list.
        """
        from gan_runner.build import build_system  # here, and below, so that who only reads numbers need not wait

        system = build_system(config)
        system.load_state_dict(self.state["system"])
        return system


def open_checkpoint(path: Path, which: Which = "last") -> Checkpoint:
    """Read a checkpoint: the file that is named, or the last or the best of a run's directory.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    from gan_runner.runs.checkpoints import load_checkpoint

    directory = RunDirectory(path)
    file = {"last": directory.last, "best": directory.best}[which] if path.is_dir() else path
    return Checkpoint(file, load_checkpoint(file))


def runs_in(path: Path) -> list[SavedRun]:
    """All runs at or below a directory, in order."""
    folders = [Path(folder) for folder, _, files in os.walk(path) if MARKS.intersection(files)]
    return [SavedRun(folder) for folder in sorted(folders, key=in_order)]


def in_order(path: Path) -> list[tuple[int, str]]:
    """Sorts 2 before 10, and 2/1 between them."""
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
            raise ConfigError(f"{path} {what}; give the directory of a run, or of a sweep")
        runs = runs_in(path)
        if not runs:
            raise ConfigError(
                f"{path} holds no run: there is no overrides.yaml, summary.json or metrics.jsonl in it or below it; "
                "give the directory of a run, or of a sweep"
            )
        for run in runs:
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty if there is no file.

    Raises:
        DataError: it is broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (ValueError, RecursionError) as error:  # also of Unicode
        raise broken(path, error) from error
    if not isinstance(content, dict):
        raise broken(path, "it is no JSON object")
    return content


def broken(path: Path, reason: object) -> DataError:
    """What a file gets that no run writes."""
    return DataError(f"{path} is broken ({reason}); leave this run out, or mend the file")
