"""What files in a user's folders may say, looked at while Hydra composes them.

A line that is typed is the user's own; a file may be somebody else's. It may say everything about what is trained,
whose `_target_`s an allow-list looks at (`gan_runner.config`), but not widen that list, and of what Hydra itself does
only what is data: Hydra would call whatever a file names as a callback, sweeper, launcher or logger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.documents import check_yaml
from gan_runner.config.interpolations import check_interpolations
from gan_runner.config.paths import CONF
from gan_runner.errors import ConfigError

TEXTS = {
    *("mode", "run.dir", "sweep.dir", "sweep.subdir", "job.name"),
    *("sweeper.direction", "sweeper.study_name", "sweeper.storage"),
    *(
        "launcher.name",
        "launcher.partition",
        "launcher.account",
        "launcher.qos",
        "launcher.gres",
        "launcher.constraint",
    ),
    *("launcher.exclude", "launcher.mem_per_cpu", "launcher.mem_per_gpu", "launcher.comment"),
}
"""Below `hydra`, what a file may set to a text, beside a sweep's parameters. Numbers and nulls name nothing."""


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of YAML in folders, of which nothing is read that stands for too much.

    A launcher's processes, which get this one, take it for Hydra's by its name.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """Look at the text, then read it.

        Raises:
            ConfigError: it may not be read, or says what only the command line may.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        if path.is_file():
            check_yaml(path.read_bytes(), str(path))
        found = super().load_config(config_path)
        check_said(found, config_path, "hydra")  # of a search path use is made at once
        return found


class Loader(ConfigLoaderImpl):
    """Hydra's way to compose, with a look at each file in the place where it is put, and at the whole."""

    def _load_single_config(self, default: Any, repo: Any) -> ConfigResult:
        found = super()._load_single_config(default, repo)
        check_said(found, default.config_path, "hydra", "trusted")
        return found

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *arguments: Any, **options: Any
    ) -> DictConfig:
        """Compose; of a sweep what its jobs have in common.

        Raises:
            ConfigError: a file may not be read, or says what only the command line may; the whole is too large.
        """

        def load(lines: list[str]) -> DictConfig:
            return super(Loader, self).load_configuration(config_name, lines, run_mode, *arguments, **options)

        config = self.load_sweep(load, overrides) if run_mode == RunMode.MULTIRUN else load(overrides)
        check_interpolations(config, "the configuration")
        return config

    def load_sweep(self, load: Callable[[list[str]], DictConfig], overrides: list[str]) -> DictConfig:
        """With the first of each list of parts, so that what is typed for them has its place.

        Hydra leaves lists out, and so refuses `dataset.root` of a sweep over datasets, or over experiments.
        """
        parsed = OverridesParser.create().parse_overrides(overrides)
        chosen = [self.first_choice(override) for override in parsed]
        try:
            config = load(chosen)
        except Exception as error:
            try:
                return load(overrides)  # what is wrong with the first alone is told when its turn comes
            except Exception:
                raise error from None
        config.hydra.overrides.task = [line for line, one in zip(overrides, parsed) if not one.is_hydra_override()]
        return config

    def first_choice(self, override: Override) -> str:
        """What was typed, with the first part in the place of a list of them."""
        line = str(override.input_line)
        if not (override.is_choice_sweep() and self.repository.group_exists(override.key_or_group)):
            return line
        return f"{line.partition('=')[0]}={next(override.sweep_string_iterator())}"


def look_at_files() -> None:
    """Have Hydra compose by these."""
    Plugins.instance()  # registers Hydra's own
    SourcesRegistry.instance().types["file"] = FileConfigSource
    hydra._internal.hydra.ConfigLoaderImpl = Loader  # type: ignore[misc]


def check_said(found: ConfigResult, config_path: str, *options: str) -> None:
    """Refuse what a file that is not of this package says in place of the command line.

    Raises:
        ConfigError: naming the file and the option.
    """
    scheme, _, folder = found.path.partition("://")
    if scheme != "file" or Path(folder).resolve() == CONF.resolve() or not isinstance(found.config, DictConfig):
        return
    content: Any = OmegaConf.to_container(found.config, resolve=False)
    for option in options:
        for place, value in leaves(content.get(option)):
            if not (is_data(place, value) if option == "hydra" else value is None):
                key = ".".join([option, *place])
                raise ConfigError(
                    f"{Path(folder, config_path)}.yaml sets {key}, which could run code; "
                    "if that is meant, type it on the command line, or write it into conf/local"
                )


def is_data(place: Sequence[str], value: Any) -> bool:
    """Whether a value below `hydra` makes Hydra call nothing that a file has named."""
    if place[:2] == ("sweeper", "params") and place[2:]:
        words = re.split(r"\W+", place[2])  # it is as if they were typed
        return len(place) == 3 and not place[2].startswith("_") and not {"hydra", "trusted"} & set(words)
    return isinstance(value, int | float | None) or ".".join(place) in TEXTS


def leaves(content: Any, *place: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What is in dictionaries and lists within one another, by its place."""
    if isinstance(content, dict | list):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, *place, str(name))
    else:
        yield place, content
