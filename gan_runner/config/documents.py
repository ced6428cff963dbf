"""YAML of runs: how it is read and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_runner.errors import ConfigError
from gan_runner.tools.secrets import redact


def read_yaml(path: Path) -> Any:
    """A YAML file for OmegaConf, which somebody else may have written.

    Raises:
        ConfigError: it is no YAML.
    """
    return parsed_yaml(path.read_bytes(), str(path))


def parsed_yaml(text: str | bytes, name: str) -> Any:
    """YAML for OmegaConf, which somebody else may have written.

    Raises:
        ConfigError: it is no YAML.
    """
    try:
        return OmegaConf.create(text if isinstance(text, str) else text.decode())
    except (YAMLError, OmegaConfBaseException, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{name} holds no configuration ({reason})") from error
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply") from None


def yaml_of(content: Any) -> str:
    """A configuration or a list as YAML, without secrets; interpolations stand as they are."""
    config = OmegaConf.create(content) if isinstance(content, list) else content
    plain = OmegaConf.to_container(config)
    redacted = redact(plain)
    return OmegaConf.to_yaml(config if redacted == plain else OmegaConf.create(redacted))
