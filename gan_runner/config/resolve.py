"""From a composed configuration to a checked one without interpolations."""

from __future__ import annotations

import hashlib
import json
import math
import re
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationKeyError, OmegaConfBaseException

from gan_runner.config.compose import register_resolver
from gan_runner.config.documents import parsed_yaml
from gan_runner.config.expectations import Expectation
from gan_runner.config.instantiate import (
    DIRECTIVES,
    build,
    check_call,
    constructor_calls,
)
from gan_runner.config.schema import Config, Logger, PlayerConfig, Trainer
from gan_runner.config.suggestions import did_you_mean
from gan_runner.config.validation import conform, source_of
from gan_runner.errors import ConfigError
from gan_runner.tools.secrets import redact

NON_TRAINING_KEYS = (
    *("seed", "seeds", "resume", "logger", "observer", "trusted"),
    *("metric", "extractor", "objective", "expected", "full_scale"),
)
"""Options of a run that are no part of its configuration in the narrow sense."""


RUNTIME_KEYS = (
    *("device", "compile", "channels_last", "deterministic"),
    *("log_every", "sample_every", "evaluate_every", "checkpoint_every"),
    *("root", "download", "workers", "resident"),
)
"""Options of trainer and dataset that say where and how a run is made, and not what is trained."""


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
    try:
        resolved = typed(config)
        OmegaConf.resolve(resolved)
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply; give some of its interpolations values") from None
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, ConfigError):  # of a resolver
            raise error.__cause__ from None
        raise ConfigError(explain_value(error, config)) from error
    conform("trainer", resolved.trainer, Trainer, config).check_together()
    conform("logger", resolved.logger, Logger, config)
    for figure, options in resolved.expected.items():
        conform(f"expected.{figure}", options, Expectation, config)
    for name, player in resolved.players.items():
        fitting = conform(f"players.{name}", player, PlayerConfig, config)
        player.updates, player.weights = fitting.updates, fitting.weights
    check_places(resolved)
    for key, node in constructor_calls(resolved):
        check_call(key, node, config)
    return resolved


def typed(config: Any) -> DictConfig:
    """A copy by the schema, interpolations as they stand.

    Raises:
        OmegaConfBaseException: it does not go with the schema.
    """
    untyped = OmegaConf.to_container(config, resolve=False)  # a typed one would bring keys that the schema has not
    return typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), untyped))


def check_saved(text: str, name: str) -> None:
    """Refuse what is no configuration of a run, before anything of it is read.

    Args:
        text: of YAML.
        name: of it, for people.

    Raises:
        ConfigError: it cannot be read, or has other keys than a run's.
    """
    config = parsed_yaml(text, name)
    try:
        fitting = isinstance(config, DictConfig) and isinstance(config.get("trainer"), DictConfig) and typed(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name} is none of a run: {explain_value(error)}") from error
    if not fitting:
        raise ConfigError(f"{name} is none of a run: it has no trainer")


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


def training_options(config: DictConfig) -> dict[str, Any]:
    """The options that runs share which differ only in the seed, in where and how they are made, or in what looks."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    for key in NON_TRAINING_KEYS:
        plain.pop(key, None)
    return plain | {part: without_runtime_keys(plain[part]) for part in ("trainer", "dataset") if part in plain}


def without_runtime_keys(options: Any) -> Any:
    """Options of trainer or dataset, less those that say where and how; so in what they hold."""
    if not isinstance(options, dict):
        return options
    return {key: without_runtime_keys(value) for key, value in options.items() if key not in RUNTIME_KEYS}


def explain_value(error: OmegaConfBaseException, config: DictConfig | None = None) -> str:
    """OmegaConf's error in one line: the key that the user can set, and what it might have been."""
    key = str(error.full_key or "")
    family, _, name = key.rpartition(".")
    siblings: list[str] = []
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and family and error.parent_node == {}:
        return f"there is no option {key}: with these parts there is no {family}"
    if isinstance(error.parent_node, DictConfig) and not is_dataclass(error.object_type):
        siblings = [str(sibling) for sibling in error.parent_node if str(sibling) not in DIRECTIVES]
    elif is_dataclass(error.object_type):
        siblings = [sibling.name for sibling in fields(error.object_type)]
    if name and siblings and name not in siblings:
        return f"there is no option {key}{did_you_mean(name, siblings, f'{family}.'.lstrip('.'))}"
    if isinstance(error, InterpolationKeyError):
        return unread(error, key)
    if "Cannot merge DictConfig with ListConfig" in str(error):
        return "a file of a group holds a list, where there must be keys such as _target_"
    key = key if config is None else source_of(config, key)
    what = str(error).split("\n", 1)[0].rpartition("': ")[2]  # without "While dereferencing interpolation '…': "
    if config is not None and what == "Recursive interpolation detected":
        return f"interpolations lead back to themselves ({', '.join(circular(config))}); give one of them a value"
    return f"{key}: {what}" if key else what


def circular(config: DictConfig) -> list[str]:
    """The keys whose interpolations lead back to themselves; lists are not looked into."""
    found = []
    for key in config:
        if OmegaConf.is_interpolation(config, str(key)):
            try:
                config[key]
            except OmegaConfBaseException as error:
                found += [str(error.full_key)] if "Recursive interpolation" in str(error) else []
        elif OmegaConf.is_dict(config[key]):
            found += circular(config[key])
    return found


def unread(error: InterpolationKeyError, key: str) -> str:
    """A line for an interpolation of a key that these parts do not have."""
    wanted = re.findall(r"Interpolation key '([^']*)' not found", str(error))
    reader = f"{key} reads" if key else "an option reads"
    return f"{reader} {', '.join(wanted)}, and with these parts there is none; leave that part out, or choose others"


def fingerprint(config: DictConfig) -> str:
    """Eight hex digits: the same for configurations that differ only in the seed, where they run, or what looks."""
    return hashlib.sha256(json.dumps(redact(training_options(config)), sort_keys=True).encode()).hexdigest()[:8]
