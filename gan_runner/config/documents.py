"""Read and write the YAML files of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_runner.errors import ConfigError
from gan_runner.tools.secrets import redact


def read_yaml(path: Path) -> Any:
    """Read a YAML file, which anyone may have written.

    Raises:
        ConfigError: it is not valid YAML.
    """
    return parsed_yaml(path.read_bytes(), str(path))


def parsed_yaml(text: str | bytes, name: str) -> Any:
    """Parse YAML, which anyone may have written.

    Args:
        text: the YAML.
        name: what the error message calls it.

    Raises:
        ConfigError: it is not valid YAML.
    """
    try:
        return OmegaConf.create(text if isinstance(text, str) else text.decode())
    except (YAMLError, OmegaConfBaseException, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{name} is not a valid configuration ({reason}); correct or remove it") from error
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply; correct or remove it") from None


def yaml_of(content: Any) -> str:
    """A configuration or a list as YAML, without secrets, with interpolations unresolved."""
    config = OmegaConf.create(content) if isinstance(content, list) else content
    plain = OmegaConf.to_container(config)
    redacted = redact(plain)
    return OmegaConf.to_yaml(config if redacted == plain else OmegaConf.create(redacted))
