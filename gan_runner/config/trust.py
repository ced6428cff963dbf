"""What files of somebody else may say, looked at before Hydra does anything that they ask for.

What is typed is the user's own, and so is `conf/local`. A file in a folder of `--config-dir` or `hydra.searchpath` may
be somebody else's. It may say everything about what is trained, whose `_target_`s an allow-list looks at
(`gan_runner.config.instantiate`), but not widen that list. Of what Hydra itself does, it may only set what is data:
Hydra would call whatever a file names as a callback, sweeper, launcher or logger.
"""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.compose import HAS_EXECUTION_WHITELIST, compose_config, initialized
from gan_runner.config.paths import CONF
from gan_runner.config.sweeps import choices_of_parts, parse_overrides
from gan_runner.errors import ConfigError

TEXTS = {
    *("mode", "run.dir", "sweep.dir", "sweep.subdir", "job.name"),
    *("sweeper.direction", "sweeper.study_name", "sweeper.storage"),
    *("launcher.name", "launcher.partition", "launcher.account", "launcher.qos", "launcher.gres"),
    *("launcher.constraint", "launcher.exclude", "launcher.comment", "launcher.mem_per_cpu", "launcher.mem_per_gpu"),
}
"""Below `hydra`, what a file may set to a text, beside a sweep's parameters. Numbers and nulls name nothing."""

CALLBACK = re.compile(r"gan_runner\.(plots|runs)\.\w+\.Sweep\w+")
"""gan-runner's own callbacks: what is made at the end of a sweep."""

SET_BY_HYDRA = ("runtime", "overrides", "searchpath", "job.override_dirname", "job.config_name")
"""Below `hydra`, what Hydra fills in itself, or what is looked at by itself."""

Leaf = tuple[str, Any]
"""The key of a value within nested dictionaries and lists, and the value."""


def check_files(line: Namespace, overrides: Sequence[str]) -> None:
    """Compose what Hydra will, once for each choice of parts, and refuse what only the command line may say.

    Args:
        line: Hydra's flags.
        overrides: the options beside them, sweeps among them.

    Raises:
        ConfigError: naming the key.
    """
    typed = parse_overrides(overrides)
    check_names(line, typed)
    searched = next((o.value() for o in typed if o.get_key_element() == "hydra.searchpath"), [])
    if not (line.config_dir or line.config_path or searched):
        return  # all files are gan-runner's own
    if line.config_dir and not Path(line.config_dir).is_dir():
        return  # Hydra says so
    files = UserFiles(line, typed, searched if isinstance(searched, list) else [])
    shared = files.check([override for override in typed if not override.is_sweep_override()])
    if not line.multirun and shared.hydra.mode != RunMode.MULTIRUN:
        return
    of_files = [f"{key}={value}" for key, value in (shared.hydra.sweeper.get("params") or {}).items()]
    for_hydra = [override for override in typed if override.is_hydra_override()]
    for parts in choices_of_parts([*of_files, *overrides], files.options_of):
        files.check([*for_hydra, *parse_overrides(parts)])


def names_packages(overrides: Sequence[str]) -> bool:
    """Whether one of these options names packages that are trusted."""
    return any(override.key_or_group == "trusted" and override.value() for override in parse_overrides(overrides))


def search_working_directory() -> None:
    """Let Python find packages in the working directory, after those that are installed."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def check_names(line: Namespace, typed: Sequence[Override]) -> None:
    """Raise ConfigError for a name of a part, or of the first file, that is a path out of its folder."""
    if line.config_name and (".." in Path(line.config_name).parts or Path(line.config_name).is_absolute()):
        raise ConfigError(f"--config-name={line.config_name} leaves its folder; name another by --config-dir")
    for override in typed:
        group, words = override.key_or_group, re.split(r"[^.\w-]+", str(override.input_line))
        if ".." in words and (CONF / group).is_dir() and not isinstance(override.value(), dict):
            raise ConfigError(f"{override.input_line} leaves the folder of {group}; name another by --config-dir")


class UserFiles:
    """The folders that a line names, from which configurations are composed as Hydra will.

    Args:
        line: Hydra's flags.
        typed: the options beside them.
        searched: the folders of `hydra.searchpath`.

    Raises:
        ConfigError: `--config-path` is not a folder; or the first file, that of `--config-name`, sets
            `hydra.searchpath`, by which it would add folders itself.
    """

    def __init__(self, line: Namespace, typed: Sequence[Override], searched: Sequence[str]):
        self.typed = {key for override in typed for key, _ in leaves(override.value(), override.key_or_group)}
        self.trusted = any(override.key_or_group == "trusted" for override in typed)
        own = [f"file://{Path(line.config_dir).absolute()}"] if line.config_dir else []
        self.folders = [*own, *searched]
        self.name = line.config_name or "config"
        self.folder = CONF if line.config_path is None else Path(line.config_path).absolute()
        if not self.folder.is_dir():
            raise ConfigError(f"--config-path={line.config_path} is no folder; --config-dir adds one to gan-run's own")
        self.places = [self.folder, *(Path(folder.removeprefix("file://")) for folder in self.folders)]
        files = (place / f"{self.name.removesuffix('.yaml')}.yaml" for place in self.places)
        first = next((file for file in files if file.is_file()), CONF / "config.yaml")
        if first != CONF / "config.yaml" and OmegaConf.select(OmegaConf.load(first), "hydra.searchpath"):
            raise ConfigError(refusal("hydra.searchpath"))

    def searchpath(self) -> str:
        """The option by which Hydra looks in these folders too."""
        return "hydra.searchpath=[{}]".format(",".join(f'"{folder}"' for folder in self.folders))

    def options_of(self, group: str) -> list[str] | None:
        """The names of a group's options; None if Hydra would not take it for a group: no folder has that name."""
        with initialized(self.folder) as loader:
            found = loader.get_group_options(group, results_filter=None, overrides=[self.searchpath()])
            if not found and not any((place / group).is_dir() for place in self.places):
                return None
            return loader.get_group_options(group, overrides=[self.searchpath()])

    def check(self, overrides: Sequence[Override]) -> DictConfig:
        """What Hydra will compose from these options, with the key `hydra`.

        Raises:
            ConfigError: it holds what only a file can have said.
        """
        lines = [str(o.input_line) for o in overrides if o.get_key_element() != "hydra.searchpath"]
        lines.append(self.searchpath())
        config = compose_config(lines, self.name, self.folder, with_hydra=True)
        own = own_config(config.hydra.runtime.choices)
        allowed = {*leaves(own.hydra), *plugin_leaves()}
        for key, value in leaves(config.hydra):
            known = key.startswith(SET_BY_HYDRA) or f"hydra.{key}" in self.typed or (key, value) in allowed
            if not known and not is_data(key, value):
                raise ConfigError(refusal(f"hydra.{key}"))
        if {*config.hydra.overrides.hydra, *config.hydra.overrides.task} != {*lines}:
            raise ConfigError(refusal("hydra.overrides"))
        if not self.trusted and config.get("trusted") != own.trusted:
            raise ConfigError(refusal("trusted"))
        return config


def refusal(key: str) -> str:
    """Why a file may not set this, and what to do."""
    return (
        f"a file of --config-dir or hydra.searchpath sets {key}, which could run code; "
        "if that is meant, type it on the command line, or write it into conf/local"
    )


def own_config(choices: Mapping[str, Any]) -> DictConfig:
    """What gan-runner's own files compose to, with these choices of Hydra's parts, where Hydra or a plugin has them."""
    with initialized(CONF) as loader:
        named = [(group.partition("@")[0], name) for group, name in choices.items() if group.startswith("hydra/")]
        chosen = [f"{group}={name}" for group, name in named if name in loader.get_group_options(group)]
    return compose_config(chosen, with_hydra=True)


def plugin_leaves() -> Iterator[Leaf]:
    """What the launchers and sweepers that are installed say of themselves."""
    store = ConfigStore.instance()
    for group in ("launcher", "sweeper"):
        for name in store.list(f"hydra/{group}"):
            if name.endswith(".yaml"):
                yield from leaves(store.load(f"hydra/{group}/{name}").node, group)


def execution_whitelist(overrides: Sequence[str]) -> dict[str, list[str]]:
    """What Hydra 1.4 may call, as an option of `hydra.main`: gan-runner's callbacks, what is typed or in conf/local."""
    if not HAS_EXECUTION_WHITELIST:
        return {}
    typed = [leaf for o in parse_overrides(overrides) for leaf in leaves(o.value(), o.key_or_group)]
    local = [leaf for path in (CONF / "local").glob("*.yaml") for leaf in leaves(OmegaConf.load(path))]
    targets = [value for key, value in [*typed, *local] if key.endswith("_target_") and isinstance(value, str)]
    return {"execution_whitelist": ["gan_runner.*", *targets]}


def is_data(key: str, value: Any) -> bool:
    """Whether a value below `hydra` makes Hydra call nothing but gan-runner's own callbacks."""
    names = key.split(".")
    if names[:2] == ["sweeper", "params"] and names[2:]:
        words = re.split(r"\W+", key.removeprefix("sweeper.params."))  # it is as if they were typed
        return not names[2].startswith("_") and not {"hydra", "trusted", "_target_"} & set(words)
    if names[0] == "callbacks" and names[2:] == ["_target_"]:
        return bool(CALLBACK.fullmatch(str(value)))
    return isinstance(value, int | float | None) or key in TEXTS


def leaves(content: Any, key: str = "") -> Iterator[Leaf]:
    """Every value in nested dictionaries and lists, interpolations as they stand."""
    if OmegaConf.is_config(content):
        content = OmegaConf.to_container(content, resolve=False, enum_to_str=True)
    if isinstance(content, dict | list):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, f"{key}.{name}".lstrip("."))
    else:
        yield key, content
