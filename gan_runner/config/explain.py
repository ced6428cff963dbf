"""OmegaConf's errors, each as one line."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationKeyError, OmegaConfBaseException

from gan_runner.config.comments import GROUPS
from gan_runner.config.instantiate import DIRECTIVES
from gan_runner.config.lookup import described_section, knobs_below, suggested_knob
from gan_runner.config.validation import source_of

SHOWN = 3
"""Options of a section that are named as examples."""


def explain_value(error: OmegaConfBaseException, config: DictConfig | None = None) -> str:
    """OmegaConf's error as one line: the key that the user can set, and a suggestion."""
    key = str(error.full_key or "")
    family, _, name = key.rpartition(".")
    siblings: list[str] = []
    unknown = isinstance(error, ConfigKeyError | ConfigAttributeError)
    if unknown and family and family not in GROUPS and error.parent_node == {}:
        return f"there is no option {key}, because this configuration has no {family}; leave it out"
    if isinstance(error.parent_node, DictConfig) and not is_dataclass(error.object_type):
        siblings = [str(sibling) for sibling in error.parent_node if str(sibling) not in DIRECTIVES]
    elif is_dataclass(error.object_type):
        siblings = [sibling.name for sibling in fields(error.object_type)]
    if name and (siblings or (unknown and family in GROUPS)) and name not in siblings:
        return f"there is no option {key}{suggested_knob(name, siblings, family)}"
    if unset := re.search(r"Environment variable '(\w+)' not found", str(error)):
        reader = f"{key} takes its value" if key else "an option takes its value"
        return f"{reader} from the environment variable {unset[1]}, which is not set; set it, or type a value"
    if isinstance(error, InterpolationKeyError):
        return unread(error, key)
    if re.search("Cannot merge (DictConfig with ListConfig|incompatible container types)", str(error)):
        return "a configuration file holds a list where it must hold keys such as _target_; correct that file"
    if re.search("is not a subclass of|is not Optional|Cannot assign", str(error)) and (inside := knobs_below(key)):
        names = ", ".join(dict.fromkeys(owned.knob.key for owned in inside[:SHOWN]))
        return f"{key} has no value of its own{described_section(key)}; set one of its options, such as {names}"
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
