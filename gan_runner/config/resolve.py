"""Check a composed configuration and replace its interpolations by their values."""

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
from gan_runner.config.instantiate import build, check_call, constructor_calls
from gan_runner.config.schema import Config, Logger, PlayerConfig, Trainer
from gan_runner.config.validation import SEEDS, conform, source_of
from gan_runner.errors import ConfigError


@cache
def register() -> None:
    """Register the schema of `conf/` and the resolvers of its interpolations."""
    ConfigStore.instance().store(name="schema", node=Config)
    register_resolver("elements", elements_of)


def elements_of(dataset: DictConfig, *, _root_: DictConfig) -> int:
    """`${elements:${dataset}}`: the number of elements of one sample of a dataset.

    Raises:
        ConfigError: the dataset's options are wrong.
    """
    node = OmegaConf.create(OmegaConf.to_container(dataset, resolve=True))
    for key, call in constructor_calls(node, "dataset"):
        check_call(key, call, _root_)
    return math.prod(build("dataset", node).shape)


def resolve(config: DictConfig) -> DictConfig:
    """A checked copy in which every interpolation is replaced by its value. Nothing is built yet.

    Raises:
        ConfigError: unknown options, wrong types, values out of range, or targets that are not trusted.
    """
    resolved = without_interpolations(config)
    trainer = conform("trainer", resolved.trainer, Trainer, config)
    trainer.check_together()
    resolved.trainer.update(vars(trainer))
    conform("logger", resolved.logger, Logger, config)
    for metric, options in resolved.expected.items():
        conform(f"expected.{metric}", options, Expectation, config)
    for name, player in resolved.players.items():
        fitting = conform(f"players.{name}", player, PlayerConfig, config)
        player.updates, player.weights = fitting.updates, fitting.weights
    check_places(resolved)
    check_seed("", resolved, config)
    for key, node in constructor_calls(resolved):
        check_call(key, node, config)
        check_seed(key, node, config)
    return resolved


def check_seed(key: str, node: DictConfig, config: DictConfig) -> None:
    """Raise ConfigError if the option `seed` of a node is no seed of torch's random number generators."""
    seed = node.get("seed")
    if isinstance(seed, int) and seed not in SEEDS:
        source = source_of(config, f"{key}.seed".lstrip("."))
        raise ConfigError(f"{source}={seed} is too large for a seed; choose one between {SEEDS[0]} and {SEEDS[-1]}")


def without_interpolations(config: DictConfig) -> DictConfig:
    """A copy typed by the schema, in which every interpolation is replaced by its value.

    Raises:
        ConfigError: an interpolation has no value, or an option does not fit the schema.
    """
    try:
        resolved = with_schema(config)
        OmegaConf.resolve(resolved)
    except RecursionError:
        raise ConfigError(
            "the configuration is nested too deeply; replace some of its interpolations by values"
        ) from None
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, ConfigError):  # raised by a resolver
            raise error.__cause__ from None
        raise ConfigError(explain_value(error, config)) from error
    return resolved


def with_schema(config: DictConfig) -> DictConfig:
    """A copy typed by the schema, with interpolations unresolved.

    Raises:
        OmegaConfBaseException: an option does not fit the schema.
    """
    untyped = OmegaConf.to_container(config, resolve=False)  # typed nodes would add keys that the schema lacks
    return typing.cast(DictConfig, OmegaConf.unsafe_merge(OmegaConf.structured(Config), untyped))


def check_saved(text: str, name: str) -> None:
    """Check that a text is the saved configuration of a run.

    Args:
        text: the YAML.
        name: what the error message calls it.

    Raises:
        ConfigError: it cannot be read, or does not fit the schema.
    """
    config = parsed_yaml(text, name)
    if not isinstance(config, DictConfig) or not isinstance(config.get("trainer"), DictConfig):
        raise ConfigError(f"{name} is not the configuration of a run: it has no key trainer")
    try:
        with_schema(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name} is not the configuration of a run: {explain_value(error)}") from error


def check_places(node: DictConfig, key: str = "") -> None:
    """Check that no option which also sets players was chosen inside another part (`loss@loss.aim=began`).

    Raises:
        ConfigError: naming the place.
    """
    for name, child in node.items():
        if isinstance(child, DictConfig):
            place = f"{key}.{name!s}".lstrip(".")
            if "players" in child:
                raise ConfigError(
                    f"the option chosen for {place} also sets {', '.join(map(str, child))}, which is not possible "
                    f"inside another part; choose another option for {place}"
                )
            check_places(child, place)
