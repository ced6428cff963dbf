"""The parts that each option in `conf/` adds to a configuration, so that errors can name the option: GROUP=OPTION."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.fingerprint import NON_TRAINING_KEYS
from gan_runner.config.instantiate import constructor_calls
from gan_runner.config.paths import CONF

EXCLUSIVE_GROUPS = ("game", "loss", "method", "regularizer", "model")
"""Groups whose options may exclude each other."""

FEW = 6
"""At most this many choices are listed."""


@cache
def calls_of(group: str, option: str) -> Mapping[str, str]:
    """The `_target_`s that an option adds to the training, by key, including those from its defaults list."""
    content, everywhere = content_of(group, option)
    calls: dict[str, str] = {}
    for base in content.get("defaults", []):
        other, _, name = option_added_by(base).rpartition("/")
        calls |= calls_of(other.strip("/") or group, name)
    own = dict(targets("" if everywhere else group, content))
    return calls | {key: target for key, target in own.items() if key.partition(".")[0] not in NON_TRAINING_KEYS}


@cache
def content_of(group: str, option: str) -> tuple[Mapping[str, Any], bool]:
    """The content of an option's file, with interpolations unresolved, and whether its package is `_global_`."""
    path = CONF / group / f"{option}.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast as OmegaConf's
    return yaml.load(text, loader) or {}, text.startswith("# @package _global_")


def option_added_by(base: str | Mapping[str, Any]) -> str:
    """The path of the option that an entry of a defaults list adds; empty if it adds none.

    `override /group` does not count, because another override may replace it. This reads the forms that the files of
    `conf/` use: `name`, `/group/name` and `group: name`, also with `@_global_`. It skips entries for other packages
    (`@here`) and `optional` ones, and supports neither lists of names nor interpolations.
    """
    entry = base if isinstance(base, str) else "/".join(map(str, *base.items()))
    path = entry.replace("@_global_", "")
    return "" if path == "_self_" or "@" in path or " " in path else path


def targets(key: str, content: Any) -> Iterator[tuple[str, str]]:
    """Every `_target_` in nested dictionaries, with its key."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "_target_":
                yield key, value
            else:
                yield from targets(f"{key}.{name}".lstrip("."), value)


def options_in(group: str) -> list[str]:
    """The names of a group's options, those in folders with their folder."""
    paths = (CONF / group).rglob("*.yaml")
    return sorted(path.relative_to(CONF / group).with_suffix("").as_posix() for path in paths)


def brought_by(config: DictConfig, target: str) -> str:
    """The options that add a `_target_` to a configuration, as typed; empty if there are none.

    An option counts if all that it adds is present, and if no other such option includes it.
    """
    present = {(key, str(node._target_)) for key, node in constructor_calls(config)}
    found = {
        (group, option): calls_of(group, option).items()
        for group in EXCLUSIVE_GROUPS
        for option in options_in(group)
        if target in calls_of(group, option).values() and calls_of(group, option).items() <= present
    }
    whole = [chosen for chosen, calls in found.items() if not any(calls < other for other in found.values())]
    return " or ".join(typed(group, [option for own, option in whole if own == group]) for group in dict(whole))


def regularizers_setting(key: str, config: DictConfig) -> str:
    """The chosen regularizers whose files set something below a key, as typed; empty if there are none."""
    contents = {
        str(name): OmegaConf.create(dict(content_of("regularizer", str(name))[0])) for name in config.regularizer
    }
    names = [name for name, content in contents.items() if OmegaConf.select(content, key)]
    return f"regularizer=[{','.join(names)}]" if names else ""


class Origins:
    """The options that added the parts of a configuration.

    Args:
        config: the resolved configuration.
        choices: names of options that are known to be chosen; they are preferred.
    """

    def __init__(self, config: DictConfig, choices: Sequence[str]):
        self.config = config
        self.choices = choices
        self.present = {(key, str(node._target_)) for key, node in constructor_calls(config)}

    def of_term(self, key: str) -> tuple[str, ...]:
        """The options that added a term or a constraint: that of its loss, if it has one, and its own.

        For a term with a loss, the game is not named.
        """
        node = OmegaConf.select(self.config, key)
        while "term" in node:
            key, node = f"{key}.term", node.term
        if "loss" not in node:
            return self.of(node._target_, key)
        return tuple(dict.fromkeys([*self.of(node.loss._target_), *self.of(node._target_, key, TERM_GROUPS[:-2])]))

    def of(self, target: str, key: str | None = None, groups: Sequence[str] = ()) -> tuple[str, ...]:
        """The option that added a `_target_` at a key, or at any key `loss`; none if it was typed directly."""
        for group in groups or (TERM_GROUPS if key else ("loss",)):
            found = []
            for option in options_in(group):
                calls = calls_of(group, option)
                whole = calls.items() <= self.present
                if calls.get(key or group) == target and self.has_knobs(group, option) and (whole or not key):
                    found.append(((whole, option in self.choices, len(calls)), option))
            if found:
                return (max(found)[1],)
        return ()

    def has_knobs(self, group: str, option: str) -> bool:
        """Whether the configuration has the options that an option sets in its own group."""
        content, everywhere = content_of(group, option)
        return not everywhere or set(content.get(group) or ()) <= set(self.config.get(group) or ())


TERM_GROUPS = ("regularizer", "method", "likelihood", "prior", "loss", "game")
"""Groups whose options add terms and constraints, the most specific first."""


def typed(group: str, options: list[str]) -> str:
    """Alternative options as one would type them: GROUP=A | B."""
    return f"{group}={' | '.join(options)}"


def choices(group: str, fits: Callable[[Mapping[str, str]], bool]) -> str:
    """The options of a group whose `_target_`s fit, as typed; `another GROUP` if none or more than `FEW` do."""
    fitting = [option for option in options_in(group) if fits(calls_of(group, option))]
    return typed(group, fitting) if 0 < len(fitting) <= FEW else f"another {group}"
