"""Saved runs, read back from their directories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_runner.config.documents import read_yaml
from gan_runner.config.resolve import NON_TRAINING_KEYS, RUNTIME_KEYS, training_options
from gan_runner.errors import ConfigError, DataError
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.sweep import in_order


@dataclass(frozen=True)
class SavedRun:
    """A run, as its directory has it.

    Attributes:
        path: of the directory.
        config: `config.yaml`; empty if the run failed before it began.
        overrides: what was typed.
        label: the chosen parts in words.
        summary: `summary.json`; of a run that has none yet, the status `running`.
        lines: `metrics.jsonl`, an object a line.
    """

    path: Path
    config: DictConfig
    overrides: Sequence[str]
    label: str
    summary: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]

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


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The directories of all runs at or below some paths, each once.

    Raises:
        ConfigError: there is none at or below one of the paths.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise ConfigError(f"{path} {what}; give the directory of a run, or of a sweep")
        files = chain.from_iterable(path.rglob(name) for name in ("summary.json", "metrics.jsonl"))
        directories = sorted({file.parent for file in files}, key=in_order)
        if not directories:
            raise ConfigError(
                f"{path} holds no run: there is no summary.json or metrics.jsonl in it or below it; "
                "give the directory of a run, or of a sweep"
            )
        for directory in directories:
            found.setdefault(directory.resolve(), directory)
    return list(found.values())


def read_run(path: Path) -> SavedRun:
    """A run from its directory, finished or not.

    Raises:
        DataError: a file is not what a run writes.
    """
    directory = RunDirectory(path)
    try:
        config = read_yaml(directory.config) if directory.config.exists() else OmegaConf.create()
        overrides: Any = read_yaml(directory.overrides) if directory.overrides.exists() else []
        environment = read_object(directory.environment) if directory.environment.exists() else {}
        summary = read_object(directory.summary) if directory.summary.exists() else {"status": "running"}
        lines = [logged(line) for line in directory.lines()] if directory.metrics.exists() else []
        if not isinstance(config, DictConfig):
            raise ValueError("config.yaml has no keys")
        needed = ("status", "best", "final") if summary.get("status") == "completed" else ("status",)
        if missing := [key for key in needed if key not in summary]:
            raise ValueError(f"summary.json has no {missing[0]}")
    except (ValueError, ConfigError) as error:
        raise DataError(f"{path} holds no run that can be read ({error}); leave it out, or mend it") from error
    label = summary.get("label") or environment.get("group", "").rpartition(" ")[0]
    return SavedRun(path, config, [str(override) for override in overrides], label, summary, lines)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        ValueError: it does not.
    """
    return object_of(path.read_text(encoding="utf-8"), path.name)


def logged(text: str) -> dict[str, Any]:
    """A line of `metrics.jsonl`.

    Raises:
        ValueError: it is no object, has no step, or holds something other than numbers and nulls.
    """
    content = object_of(text, "a line of metrics.jsonl")
    if not isinstance(content.get("step"), int):
        raise ValueError("a line of metrics.jsonl has no step")
    for key, value in content.items():
        if not isinstance(value, (int, float, type(None))):
            raise ValueError(f"{key} in metrics.jsonl is no number")
    return content


def object_of(text: str, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is none.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} is no JSON object")
    return content
