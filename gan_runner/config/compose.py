"""Compose the files of `conf/` with Hydra 1.3 or 1.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.paths import CONF

HAS_EXECUTION_WHITELIST = tuple(map(int, hydra.__version__.split(".")[:2])) >= (1, 4)
"""Whether this is Hydra 1.4, which requires a list of allowed targets and no longer takes `version_base`."""

VERSION_BASE: dict[str, Any] = {} if HAS_EXECUTION_WHITELIST else {"version_base": "1.3"}
"""Arguments of Hydra's entry points: `version_base` for Hydra 1.3, nothing for 1.4."""


def compose_config(
    overrides: Iterable[str], config_name: str = "config", folder: Path = CONF, with_hydra: bool = False
) -> DictConfig:
    """The configuration that `gan-run` composes from these options.

    Args:
        overrides: KEY=VALUE and GROUP=NAME, without sweeps.
        config_name: the name of the primary file.
        folder: the folder of that file.
        with_hydra: whether to include the key `hydra`.
    """
    with initialized(folder):
        return hydra.compose(config_name, list(overrides), return_hydra_config=with_hydra)


@contextmanager
def initialized(folder: Path) -> Iterator[ConfigLoader]:
    """Context in which Hydra composes from a folder; yields its config loader."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(folder), job_name="gan-run", **VERSION_BASE):
        yield GlobalHydra.instance().config_loader()


def register_resolver(name: str, resolver: Any) -> None:
    """Register a resolver with OmegaConf 2.3 or 2.4, whose functions for it have different names."""
    register: Any = OmegaConf.register_resolver if HAS_EXECUTION_WHITELIST else OmegaConf.register_new_resolver
    register(name, resolver, replace=True)


def change_defaults(group: str, name: str, changed: Mapping[str, Any]) -> None:
    """Change the default options of an installed launcher, sweeper or sampler. Options that it lacks are left out."""
    store: Any = ConfigStore.instance()
    node = store.load(f"{group}/{name}.yaml").node
    known = {key: value for key, value in changed.items() if key in node}
    replaced = {"replace": True} if HAS_EXECUTION_WHITELIST else {}  # else Hydra 1.4 warns
    store.store(name, OmegaConf.merge(node, known), group, **replaced)
