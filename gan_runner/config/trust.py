"""Check configuration files of other people before Hydra acts on them.

The command line and `conf/local` are trusted. A file in a folder of `--config-dir` or `hydra.searchpath` may come from
someone else. It may set everything about the training, whose `_target_`s are checked against an allow-list
(`gan_runner.config.instantiate`), but may not extend that list. Of Hydra's own options it may set only data, because
Hydra calls whatever a file names as a callback, sweeper, launcher or logger.
"""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.compose import HAS_EXECUTION_WHITELIST, compose_config, initialized
from gan_runner.config.paths import CONF
from gan_runner.config.sweeps import choices_of_parts, expand_globs, parse_overrides
from gan_runner.errors import ConfigError

TEXTS = {
    *("mode", "run.dir", "sweep.dir", "sweep.subdir", "job.name"),
    *("sweeper.direction", "sweeper.study_name", "sweeper.storage"),
    *("launcher.name", "launcher.partition", "launcher.account", "launcher.qos", "launcher.gres"),
    *("launcher.constraint", "launcher.exclude", "launcher.comment", "launcher.mem_per_cpu", "launcher.mem_per_gpu"),
}
"""Keys below `hydra` that a file may set to a text, besides a sweep's parameters. Numbers and null are always data."""

CALLBACK = re.compile(r"gan_runner\.(plots|runs)\.\w+\.Sweep\w+")
"""The names of gan-runner's own callbacks, which run at the end of a sweep."""

SET_BY_HYDRA = ("runtime", "overrides", "searchpath", "job.override_dirname", "job.config_name")
"""Keys below `hydra` that Hydra fills in itself, or that have a check of their own."""

Leaf = tuple[str, Any]
"""A value in nested dictionaries and lists: its dotted key, and the value."""


def check_files(line: Namespace, overrides: Sequence[str]) -> None:
    """Compose what Hydra will compose, once for each choice of parts, and check what the files set.

    Args:
        line: Hydra's flags.
        overrides: the other options, sweeps included.

    Raises:
        ConfigError: a file sets a key that only the command line may set.
    """
    typed = parse_overrides(overrides)
    check_names(line, typed)
    if not (line.config_dir or line.config_path or searched_folders(typed)):
        return  # all files belong to gan-runner
    if line.config_dir and not Path(line.config_dir).is_dir():
        return  # Hydra reports it
    files = UserFiles(line, typed)
    shared = files.check([override for override in typed if not override.is_sweep_override()])
    if not line.multirun and shared.hydra.mode != RunMode.MULTIRUN:
        return
    of_files = [f"{key}={value}" for key, value in (shared.hydra.sweeper.get("params") or {}).items()]
    for_hydra = [override for override in typed if override.is_hydra_override()]
    for parts in choices_of_parts([*of_files, *overrides], files.options_of):
        files.check([*for_hydra, *parse_overrides(parts)])


def without_globs(line: Namespace) -> list[str]:
    """The options of a command line, with each `GROUP=glob(PATTERN)` replaced by the choice of what matches.

    Raises:
        ConfigError: no option matches.
    """
    if not any("glob(" in option for option in line.overrides):
        return list(line.overrides)
    return expand_globs(line.overrides, UserFiles(line, parse_overrides(line.overrides)).nested_options_of)


def searched_folders(typed: Sequence[Override]) -> list[str]:
    """The folders that the command line adds by `hydra.searchpath`."""
    searched = next((o.value() for o in typed if o.get_key_element() == "hydra.searchpath"), [])
    return searched if isinstance(searched, list) else []


def names_packages(overrides: Sequence[str]) -> bool:
    """Whether one of these options names packages that are trusted."""
    return any(override.key_or_group == "trusted" and override.value() for override in parse_overrides(overrides))


def search_working_directory() -> None:
    """Let Python find packages in the working directory, after those that are installed."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def check_names(line: Namespace, typed: Sequence[Override]) -> None:
    """Raise ConfigError for a name of a part or of the primary file that is a path out of its folder."""
    if line.config_name and (".." in Path(line.config_name).parts or Path(line.config_name).is_absolute()):
        raise ConfigError(
            f"--config-name={line.config_name} leads out of its folder; name the other folder with --config-dir"
        )
    for override in typed:
        group, words = override.key_or_group, re.split(r"[^.\w-]+", str(override.input_line))
        if ".." in words and (CONF / group).is_dir() and not isinstance(override.value(), dict):
            raise ConfigError(
                f"{override.input_line} leads out of the folder of {group}; name the other folder with --config-dir"
            )


class UserFiles:
    """The configuration folders that a command line names. Composes configurations from them as Hydra will.

    Args:
        line: Hydra's flags.
        typed: the other options.

    Raises:
        ConfigError: `--config-path` is not a folder, or the primary file (`--config-name`) sets `hydra.searchpath`,
            which would add more folders.
    """

    def __init__(self, line: Namespace, typed: Sequence[Override]):
        self.typed = {key for override in typed for key, _ in leaves(override.value(), override.key_or_group)}
        self.trusted = any(override.key_or_group == "trusted" for override in typed)
        own = [f"file://{Path(line.config_dir).absolute()}"] if line.config_dir else []
        self.folders = [*own, *searched_folders(typed)]
        self.name = line.config_name or "config"
        self.folder = CONF if line.config_path is None else Path(line.config_path).absolute()
        if not self.folder.is_dir():
            raise ConfigError(
                f"--config-path={line.config_path} is not a folder; to add a folder to gan-run's own, use --config-dir"
            )
        self.places = [self.folder, *(Path(folder.removeprefix("file://")) for folder in self.folders)]
        files = (place / f"{self.name.removesuffix('.yaml')}.yaml" for place in self.places)
        first = next((file for file in files if file.is_file()), CONF / "config.yaml")
        if first != CONF / "config.yaml" and OmegaConf.select(OmegaConf.load(first), "hydra.searchpath"):
            raise ConfigError(refusal("hydra.searchpath"))

    def searchpath(self) -> str:
        """The option that makes Hydra search these folders too."""
        return "hydra.searchpath=[{}]".format(",".join(f'"{folder}"' for folder in self.folders))

    def options_of(self, group: str) -> list[str] | None:
        """The names of a group's options; None if no folder has that name, so that it is no group for Hydra."""
        with initialized(self.folder) as loader:
            found = loader.get_group_options(group, results_filter=None, overrides=[self.searchpath()])
            if not found and not any((place / group).is_dir() for place in self.places):
                return None
            return loader.get_group_options(group, overrides=[self.searchpath()])

    def nested_options_of(self, group: str) -> list[str]:
        """The names of a group's options; those in its folders, at any depth, as FOLDER/NAME."""
        with initialized(self.folder) as loader:

            def names_in(folder: str) -> Iterator[str]:
                yield from loader.get_group_options(folder, ObjectType.CONFIG, overrides=[self.searchpath()])
                for inner in loader.get_group_options(folder, ObjectType.GROUP, overrides=[self.searchpath()]):
                    yield from (f"{inner}/{name}" for name in names_in(f"{folder}/{inner}"))

            return list(names_in(group))

    def lines(self, overrides: Sequence[Override]) -> list[str]:
        """The options to compose."""
        typed = [str(o.input_line) for o in overrides if o.get_key_element() != "hydra.searchpath"]
        return [*typed, self.searchpath()]

    def compose(self, overrides: Sequence[Override]) -> DictConfig:
        """The configuration that Hydra will compose from these options, with the key `hydra`."""
        return compose_config(self.lines(overrides), self.name, self.folder, with_hydra=True)

    def check(self, overrides: Sequence[Override]) -> DictConfig:
        """The configuration that Hydra will compose from these options, with the key `hydra`.

        Raises:
            ConfigError: a file sets a key that only the command line may set.
        """
        config = self.compose(overrides)
        own = own_config(config.hydra.runtime.choices)
        allowed = {*leaves(own.hydra), *plugin_leaves()}
        for key, value in leaves(config.hydra):
            known = key.startswith(SET_BY_HYDRA) or f"hydra.{key}" in self.typed or (key, value) in allowed
            if not known and not is_data(key, value):
                raise ConfigError(refusal(f"hydra.{key}"))
        if {*config.hydra.overrides.hydra, *config.hydra.overrides.task} != {*self.lines(overrides)}:
            raise ConfigError(refusal("hydra.overrides"))
        if not self.trusted and config.get("trusted") != own.trusted:
            raise ConfigError(refusal("trusted"))
        return config


def refusal(key: str) -> str:
    """The error message for a file that sets a key which only the command line may set."""
    return (
        f"a file of --config-dir or hydra.searchpath sets {key}, which could run code; if you want that, type it on "
        "the command line, or write it into conf/local"
    )


def own_config(choices: Mapping[str, Any]) -> DictConfig:
    """The configuration that gan-runner's own files compose to, with these choices of Hydra's parts if they exist."""
    with initialized(CONF) as loader:
        named = [(group.partition("@")[0], name) for group, name in choices.items() if group.startswith("hydra/")]
        chosen = [f"{group}={name}" for group, name in named if name in loader.get_group_options(group)]
    return compose_config(chosen, with_hydra=True)


def plugin_leaves() -> Iterator[Leaf]:
    """The default values of all installed launchers and sweepers."""
    store = ConfigStore.instance()
    for group in ("launcher", "sweeper"):
        for name in store.list(f"hydra/{group}"):
            if name.endswith(".yaml"):
                yield from leaves(store.load(f"hydra/{group}/{name}").node, group)


def execution_whitelist(overrides: Sequence[str]) -> dict[str, list[str]]:
    """The targets that Hydra 1.4 may call: gan-runner's, those that are typed, and those in conf/local."""
    if not HAS_EXECUTION_WHITELIST:
        return {}
    typed = [leaf for o in parse_overrides(overrides) for leaf in leaves(o.value(), o.key_or_group)]
    local = [leaf for path in (CONF / "local").glob("*.yaml") for leaf in leaves(OmegaConf.load(path))]
    targets = [value for key, value in [*typed, *local] if key.endswith("_target_") and isinstance(value, str)]
    return {"execution_whitelist": ["gan_runner.*", *targets]}


def is_data(key: str, value: Any) -> bool:
    """Whether a value below `hydra` is data: Hydra calls nothing for it but gan-runner's own callbacks."""
    names = key.split(".")
    if names[:2] == ["sweeper", "params"] and names[2:]:
        words = re.split(r"\W+", key.removeprefix("sweeper.params."))  # Hydra treats them as if typed
        return not names[2].startswith("_") and not {"hydra", "trusted", "_target_"} & set(words)
    if names[0] == "callbacks" and names[2:] == ["_target_"]:
        return bool(CALLBACK.fullmatch(str(value)))
    return isinstance(value, int | float | None) or key in TEXTS


def leaves(content: Any, key: str = "") -> Iterator[Leaf]:
    """Every value in nested dictionaries and lists, with interpolations unresolved."""
    if OmegaConf.is_config(content):
        content = OmegaConf.to_container(content, resolve=False, enum_to_str=True)
    if isinstance(content, dict | list):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, f"{key}.{name}".lstrip("."))
    else:
        yield key, content
