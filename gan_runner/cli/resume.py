"""Resume a run: `gan-run resume=RUN_DIR`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from gan_runner.config.paths import CONF
from gan_runner.config.sweeps import parse_overrides
from gan_runner.config.trust import names_packages, search_working_directory
from gan_runner.errors import ConfigError
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.saved import SavedRun, open_checkpoint

if TYPE_CHECKING:
    from gan_runner.train import Job

RESUME_OPTION = re.compile(r"\+{0,2}resume=")
"""The option as typed, also with one plus or two, which make no difference."""

ONE_VALUE = re.compile(r"players\.\w+\.(updates|weights\.\w+)")
"""Options whose value may be a table by step or a schedule. A typed value replaces it; other nested options are
merged."""


def resumed_directory(arguments: Sequence[str]) -> RunDirectory | None:
    """The directory of the run to resume, if the command line names one.

    Raises:
        ConfigError: there is no such directory, it is that of a sweep, or the line has flags for new runs.
    """
    paths = [argument.partition("=")[2].strip("'\"") for argument in arguments if RESUME_OPTION.match(argument)]
    if not paths or paths[-1] in ("", "null"):
        return None
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ConfigError(
            f"resume= continues one run and takes no {flags[0]}; to continue a sweep, type its command again with "
            "hydra.sweep.dir=SWEEP_DIR"
        )
    path = Path(paths[-1]).expanduser().absolute()
    if not path.is_dir():
        run = path.parent.parent if path.parent.name == "checkpoints" else path.parent
        what = f"is a file; try resume={run}" if path.exists() else "does not exist; give the directory of a run"
        raise ConfigError(f"there is no checkpoint to resume: {path} {what}")
    if (path / "multirun.yaml").exists():
        raise ConfigError(
            f"{path} is the directory of a sweep; type its command again with hydra.sweep.dir={path}, or continue one "
            f"run with resume={path / '0'}"
        )
    moving = any(each.is_symlink() for each in (path, *path.parents) if each.name == "latest")
    return RunDirectory(path.resolve() if moving else path)  # outputs/latest may soon lead to another run


def resumed_job(directory: RunDirectory, arguments: Sequence[str]) -> Job:
    """The saved configuration of a run, changed by the options of this command line.

    Raises:
        ConfigError: an option cannot be changed in a resumed run.
        CheckpointError: the run's checkpoint cannot be read.
    """
    from gan_runner.train import Job

    seeds = seeds_in(directory)
    checkpoint = open_checkpoint((seeds[0] if seeds else directory).path)
    config = checkpoint.config()
    if seeds:
        config.seeds = [SavedRun(seed.path).config.seed for seed in seeds]
    config.explain = False  # older runs have no such key
    OmegaConf.set_struct(config, True)
    overrides = parse_overrides([argument for argument in arguments if not RESUME_OPTION.match(argument)])
    for override in overrides:
        check_resumable(override)
        added = override.is_add() or override.is_force_add()
        merged = not ONE_VALUE.fullmatch(override.key_or_group)
        OmegaConf.update(config, override.key_or_group, override.value(), merge=merged, force_add=added)
    typed = [str(override.input_line) for override in overrides]
    if names_packages(typed):
        search_working_directory()
    command = ["gan-run", *arguments]
    return Job(config, directory, checkpoint.state["label"], typed, resumed=True, command=command)


def check_resumable(override: Override) -> None:
    """Raise ConfigError for an option that cannot be changed in a resumed run."""
    key, line = override.key_or_group, override.input_line
    if key.startswith("hydra."):
        raise ConfigError(f"a resumed run stays in its own directory; leave out {line}")
    if override.is_sweep_override():
        raise ConfigError(f"resume= continues one run, but {line} has several values; choose one")
    if (CONF / key).is_dir() or override.is_delete() or key == "seeds":
        raise ConfigError(
            f"{line} would change the parts of the resumed run; leave it out, or start a new run without resume="
        )


def seeds_in(directory: RunDirectory) -> list[RunDirectory]:
    """The subdirectories 0, 1, 2, … of several seeds that were trained together; empty for a single run."""
    numbered = (RunDirectory(directory.path / str(number)) for number in count())
    return list(takewhile(lambda seed: seed.config.exists(), numbered))
