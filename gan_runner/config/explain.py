"""OmegaConf's errors, each as one line."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationKeyError, OmegaConfBaseException

from gan_runner.config.instantiate import DIRECTIVES
from gan_runner.config.suggestions import did_you_mean
from gan_runner.config.validation import source_of


def explain_value(error: OmegaConfBaseException, config: DictConfig | None = None) -> str:
    """OmegaConf's error as one line: the key that the user can set, and a suggestion."""
    key = str(error.full_key or "")
    family, _, name = key.rpartition(".")
    siblings: list[str] = []
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and family and error.parent_node == {}:
        return f"there is no option {key}, because this configuration has no {family}; leave it out"
    if isinstance(error.parent_node, DictConfig) and not is_dataclass(error.object_type):
        siblings = [str(sibling) for sibling in error.parent_node if str(sibling) not in DIRECTIVES]
    elif is_dataclass(error.object_type):
        siblings = [sibling.name for sibling in fields(error.object_type)]
    if name and siblings and name not in siblings:
        return f"there is no option {key}{did_you_mean(name, siblings, f'{family}.'.lstrip('.'))}"
    if isinstance(error, InterpolationKeyError):
        return unread(error, key)
    if re.search("Cannot merge (DictConfig with ListConfig|incompatible container types)", str(error)):
        return "a configuration file holds a list where it must hold keys such as _target_; correct that file"
    key = key if config is None else source_of(config, key)
    what = str(error).split("\n", 1)[0].rpartition("': ")[2]  # without "While dereferencing interpolation '…': "
    if config is not None and what == "Recursive interpolation detected":
        return f"these options refer to each other in a circle: {', '.join(circular(config))}; give one of them a value"
    return f"{key}: {what}" if key else what


def circular(config: DictConfig) -> list[str]:
    """The keys whose interpolations form a circle. Lists are not searched."""
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
    """A line for an interpolation of a key that is not in this configuration."""
    wanted = re.findall(r"Interpolation key '([^']*)' not found", str(error))
    reader = f"{key} takes its value" if key else "an option takes its value"
    return (
        f"{reader} from {', '.join(wanted)}, which this configuration does not have; leave out the part that sets "
        f"{key or 'that option'}, or choose one with {', '.join(wanted)}"
    )
