"""Adapt sweepers that search for the best value of the objective, such as Optuna's."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, open_dict, read_write

from gan_runner.config.compose import change_defaults
from gan_runner.config.sweeps import parse_overrides
from gan_runner.config.trust import UserFiles
from gan_runner.errors import ConfigError
from gan_runner.runs.directory import RunDirectory


def set_search_defaults() -> None:
    """Let Optuna, if it is installed, go on after a failed run, and suggest different points for runs at the same time.

    Optuna's own defaults do the latter, and those of the plugin do not. Typed options change both.
    """
    Plugins.instance()  # registers the sweepers that are installed
    if "optuna.yaml" in ConfigStore.instance().list("hydra/sweeper"):
        change_defaults("hydra/sweeper", "optuna", {"max_failure_rate": 1.0})
        change_defaults("hydra/sweeper/sampler", "tpe", {"multivariate": True, "constant_liar": True})


def search_options(line: Namespace, overrides: Sequence[str]) -> list[str]:
    """The option to add if the sweeper searches in a direction: that in which the objective is better.

    Args:
        line: the command line of a sweep.
        overrides: its options, without globs.

    Raises:
        ConfigError: there is no objective, `hydra.sweeper.direction` contradicts it, or seeds would be searched.
    """
    if ConfigStore.instance().list("hydra/sweeper") == ["basic.yaml"]:
        return []  # no other sweeper is installed
    files, typed = UserFiles(line, parse_overrides(overrides)), parse_overrides(overrides)
    sweeper = files.compose([override for override in typed if not override.is_sweep_override()]).hydra.sweeper
    if "direction" not in sweeper:
        return []
    searched = [*parse_overrides([f"{key}={value}" for key, value in (sweeper.params or {}).items()]), *typed]
    for override in searched:
        if override.key_or_group == "seed" and has_alternatives(override):
            raise ConfigError(
                f"{override.input_line} would be searched for the seed with the best value; to optimise the mean over "
                "seeds, type seeds=3 instead"
            )
    best = direction_of_objective(files.compose(parse_overrides([*map(first_alternative, searched)])))
    given = getattr(sweeper.direction, "name", sweeper.direction)
    if any(override.key_or_group == "hydra.sweeper.direction" for override in typed) and given != best:
        raise ConfigError(f"the objective needs hydra.sweeper.direction={best}, not {given}; leave the option out")
    return [f"hydra.sweeper.direction={best}"]


def first_alternative(override: Override) -> str:
    """An option with the first of its alternatives as its value."""
    if override.is_interval_sweep():
        value: Any = override.value()
        return f"{override.get_key_element()}={value.start}"
    if override.is_sweep_override():
        return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
    return str(override.input_line)


def has_alternatives(override: Override) -> bool:
    """Whether an option has more than one value."""
    return override.is_sweep_override() and (
        not override.is_choice_sweep() or len(list(override.sweep_string_iterator())) > 1
    )


def direction_of_objective(config: DictConfig) -> str:
    """`minimize` or `maximize`: the direction in which a run's objective is better.

    Raises:
        ConfigError: there is no objective, or the run cannot work.
    """
    from gan_runner.observers.build import directions_by_name
    from gan_runner.train import Job, build_all

    if config.objective is None:
        raise ConfigError("a search needs an objective, whose best value it reads; set objective=METRIC")
    with read_write(config), open_dict(config):
        del config["hydra"]
        config.trainer.device = "cpu"
    _, _, metrics, observers = build_all(Job(config, RunDirectory(Path())))
    known = directions_by_name(metrics, observers)
    if config.objective not in known:
        raise ConfigError(f"no metric measures objective={config.objective}; choose one in metric=[…]")
    return "maximize" if known[config.objective] is max else "minimize"
