"""Composing the files of `conf/` with Hydra 1.3 or 1.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.paths import CONF

HAS_EXECUTION_WHITELIST = tuple(map(int, hydra.__version__.split(".")[:2])) >= (1, 4)
"""Whether Hydra asks which targets it may call, and no longer for the version whose defaults it should take."""

VERSION_BASE: dict[str, Any] = {} if HAS_EXECUTION_WHITELIST else {"version_base": "1.3"}
"""The version whose defaults Hydra 1.3 takes; Hydra 1.4 wants to be asked for none."""


def compose_config(
    overrides: Iterable[str], config_name: str = "config", folder: Path = CONF, with_hydra: bool = False
) -> DictConfig:
    """What `gan-run` would compose from these options.

    Args:
        overrides: KEY=VALUE and GROUP=NAME, without sweeps.
        config_name: of the file to start from.
        folder: where that file is.
        with_hydra: whether to include the key `hydra`.
    """
    with initialized(folder):
        return hydra.compose(config_name, list(overrides), return_hydra_config=with_hydra)


@contextmanager
def initialized(folder: Path) -> Iterator[ConfigLoader]:
    """Hydra, ready to compose what is in a folder."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(folder), job_name="gan-run", **VERSION_BASE):
        yield GlobalHydra.instance().config_loader()


def register_resolver(name: str, resolver: Any) -> None:
    """Register a resolver under the name that OmegaConf 2.3 or 2.4 has for this."""
    register: Any = OmegaConf.register_resolver if HAS_EXECUTION_WHITELIST else OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
