"""From a composed configuration to a checked one without interpolations."""

from __future__ import annotations

import math
import typing
from functools import cache

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_runner.config.compose import register_resolver
from gan_runner.config.documents import parsed_yaml
from gan_runner.config.expectations import Expectation
from gan_runner.config.explain import explain_value
from gan_runner.config.instantiate import (
    build,
    check_call,
    constructor_calls,
)
from gan_runner.config.schema import Config, Logger, PlayerConfig, Trainer
from gan_runner.config.validation import conform
from gan_runner.errors import ConfigError


@cache
def register() -> None:
    """Tell Hydra the schema of `conf/`, and what an interpolation can compute."""
    ConfigStore.instance().store(name="schema", node=Config)
    register_resolver("elements", elements_of)


def elements_of(dataset: DictConfig, *, _root_: DictConfig) -> int:
    """`${elements:${dataset}}`: how many numbers one sample of a dataset has, for what must be of that size.

    Raises:
        ConfigError: the dataset is not well described.
    """
    node = OmegaConf.create(OmegaConf.to_container(dataset, resolve=True))
    for key, call in constructor_calls(node, "dataset"):
        check_call(key, call, _root_)
    return math.prod(build("dataset", node).shape)


def resolve(config: DictConfig) -> DictConfig:
    """A copy with every interpolation replaced by its value, checked from end to end before anything is built.

    Raises:
        ConfigError: unknown or mistyped options, values out of range, targets that are not trusted.
    """
    resolved = without_interpolations(config)
    conform("trainer", resolved.trainer, Trainer, config).check_together()
    conform("logger", resolved.logger, Logger, config)
    for metric, options in resolved.expected.items():
        conform(f"expected.{metric}", options, Expectation, config)
    for name, player in resolved.players.items():
        fitting = conform(f"players.{name}", player, PlayerConfig, config)
        player.updates, player.weights = fitting.updates, fitting.weights
    check_places(resolved)
    for key, node in constructor_calls(resolved):
        check_call(key, node, config)
    return resolved


def without_interpolations(config: DictConfig) -> DictConfig:
    """A copy by the schema, with every interpolation replaced by its value.

    Raises:
        ConfigError: an interpolation leads nowhere, or an option does not go with the schema.
    """
    try:
        resolved = with_schema(config)
        OmegaConf.resolve(resolved)
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply; give some of its interpolations values") from None
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, ConfigError):  # raised by a resolver
            raise error.__cause__ from None
        raise ConfigError(explain_value(error, config)) from error
    return resolved


def with_schema(config: DictConfig) -> DictConfig:
    """A copy by the schema, interpolations as they stand.

    Raises:
        OmegaConfBaseException: an option does not go with the schema.
    """
    untyped = OmegaConf.to_container(config, resolve=False)  # a typed node would bring keys that the schema lacks
    return typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), untyped))


def check_saved(text: str, name: str) -> None:
    """Refuse a text that is not the configuration of a run.

    Args:
        text: YAML.
        name: of the text, for the error.

    Raises:
        ConfigError: it cannot be read, or has other keys than a run's.
    """
    config = parsed_yaml(text, name)
    if not isinstance(config, DictConfig) or not isinstance(config.get("trainer"), DictConfig):
        raise ConfigError(f"{name} is none of a run: it has no trainer")
    try:
        with_schema(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name} is none of a run: {explain_value(error)}") from error


def check_places(node: DictConfig, key: str = "") -> None:
    """Raise ConfigError for an option that sets players too, where it was chosen for a place inside another part."""
    for name, child in node.items():
        if isinstance(child, DictConfig):
            place = f"{key}.{name!s}".lstrip(".")
            if "players" in child:
                raise ConfigError(
                    f"what was chosen for {place} sets {', '.join(map(str, child))}, so it cannot be there; choose "
                    f"another for {place}"
                )
            check_places(child, place)
