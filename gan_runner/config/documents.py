"""YAML that somebody may have given us: how large it may be, how it is read and written."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_runner.config.interpolations import check_interpolations
from gan_runner.errors import ConfigError
from gan_runner.tools.secrets import redact

LARGEST_YAML = 100_000
"""Nodes of a document, with its aliases written out: a hundred times the largest that a run writes."""


DEEPEST_YAML = 50
"""Nodes within one another: four times the deepest that a run writes."""


def check_yaml(text: str | bytes, name: str) -> None:
    """Refuse YAML that stands for more than could be meant, by aliases ("billion laughs") or by nesting.

    Args:
        text: what is broken otherwise is passed over; who reads it says so.
        name: of the file, for people.

    Raises:
        ConfigError: it stands for too many nodes, or is nested too deeply.
    """
    sizes: dict[str | None, float] = {}
    open_: list[tuple[str | None, float]] = [(None, 0)]  # what has not yet ended: its anchor, and its size so far
    with suppress(YAMLError, UnicodeError):
        for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                sizes[event.anchor] = math.inf  # of a node that holds itself
                open_.append((event.anchor, 1))
                if len(open_) > DEEPEST_YAML:
                    raise ConfigError(f"{name} is nested too deeply, more than {DEEPEST_YAML} times")
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                anchor, size = open_.pop() if isinstance(event, yaml.CollectionEndEvent) else (event.anchor, 1)
                size = sizes.get(anchor, 1) if isinstance(event, yaml.AliasEvent) else size
                sizes[anchor] = size
                open_[-1] = (open_[-1][0], open_[-1][1] + size)
            if open_[-1][1] > LARGEST_YAML:
                raise ConfigError(
                    f"{name} stands for more than {LARGEST_YAML:,} values, by aliases of aliases; leave it out"
                )


def read_yaml(path: Path) -> Any:
    """A YAML file that somebody may have given us, for OmegaConf.

    Raises:
        ConfigError: it is no YAML, or stands for too much.
    """
    return parsed_yaml(path.read_bytes(), str(path))


def parsed_yaml(text: str | bytes, name: str) -> Any:
    """YAML that somebody may have given us, for OmegaConf.

    Raises:
        ConfigError: it is no YAML, or stands for too much.
    """
    check_yaml(text, name)
    try:
        content = OmegaConf.create(text if isinstance(text, str) else text.decode())
    except (YAMLError, OmegaConfBaseException, AssertionError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{name} holds no configuration ({reason})") from error
    check_interpolations(content, name)
    return content


def yaml_of(content: Any) -> str:
    """A configuration or a list as YAML, without secrets; interpolations stand as they are."""
    plain = OmegaConf.to_container(OmegaConf.create(content) if isinstance(content, list) else content)
    return OmegaConf.to_yaml(OmegaConf.create(redact(plain)))
