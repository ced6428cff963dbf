"""Environment variables that a configuration reads by `${oc.env:NAME}`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_runner.tools.secrets import redact

VARIABLE = re.compile(r"\$\{oc\.env:(\w+)\}")


def read_variables(text: str) -> dict[str, str]:
    """The variables that a configuration reads, with their present values. Secrets are left out."""
    values = {name: os.environ[name] for name in VARIABLE.findall(text) if name in os.environ}
    return {name: value for name, value in values.items() if redact(value) == value}


def with_variables(config: DictConfig, saved: Mapping[str, str]) -> DictConfig:
    """A configuration in which variables that are not set are replaced by saved values, or by a text that says so."""

    def value_of(found: re.Match[str]) -> str:
        return found[0] if found[1] in os.environ else saved.get(found[1], f"({found[1]} is not set)")

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return VARIABLE.sub(value_of, node) if isinstance(node, str) else node

    return OmegaConf.create(filled(OmegaConf.to_container(config)))
