"""What the options of `conf/` bring, so that a refusal names them as they are typed: GROUP=OPTION."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from gan_runner.config.fingerprint import NON_TRAINING_KEYS
from gan_runner.config.instantiate import constructor_calls
from gan_runner.config.paths import CONF

GROUPS = ("game", "loss", "method", "regularizer", "model")
"""Those whose options may not go with one another."""

FEW = 6
"""So many choices are listed, at most."""


@cache
def calls_of(group: str, option: str) -> Mapping[str, str]:
    """The `_target_`s that an option brings to what is trained, by the keys where it puts them.

    Those that it builds on are included.
    """
    content, everywhere = content_of(group, option)
    calls: dict[str, str] = {}
    for base in content.get("defaults", []):
        other, _, name = option_added_by(base).rpartition("/")
        calls |= calls_of(other.strip("/") or group, name)
    own = dict(targets("" if everywhere else group, content))
    return calls | {key: target for key, target in own.items() if key.partition(".")[0] not in NON_TRAINING_KEYS}


@cache
def content_of(group: str, option: str) -> tuple[Mapping[str, Any], bool]:
    """What the file of an option sets, interpolations as they stand, and whether that is for all groups."""
    path = CONF / group / f"{option}.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast as OmegaConf's
    return yaml.load(text, loader) or {}, text.startswith("# @package _global_")


def option_added_by(base: str | Mapping[str, Any]) -> str:
    """The option that an entry of a defaults list adds to the whole, as a path; empty if none.

    What it overrides (`override /group`) may be overridden again, and so does not count. Of Hydra's defaults lists this
    reads what the files of `conf/` have: `name`, `/group/name` and `group: name`, into `@_global_` too. It leaves out
    entries for other packages (`@here`) and `optional` ones, and knows neither lists of names nor interpolations.
    """
    entry = base if isinstance(base, str) else "/".join(map(str, *base.items()))
    path = entry.replace("@_global_", "")
    return "" if path == "_self_" or "@" in path or " " in path else path


def targets(key: str, content: Any) -> Iterator[tuple[str, str]]:
    """Every `_target_` in plain content, with its key."""
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
    """The option, or those, by which a `_target_` came into a configuration, as typed; empty if there is none.

    It is one that brings the target, all of whose parts are there, and that is not part of another such.
    """
    present = {(key, str(node._target_)) for key, node in constructor_calls(config)}
    found = {
        (group, option): calls_of(group, option).items()
        for group in GROUPS
        for option in options_in(group)
        if target in calls_of(group, option).values() and calls_of(group, option).items() <= present
    }
    whole = [chosen for chosen, calls in found.items() if not any(calls < other for other in found.values())]
    return " or ".join(typed(group, [option for own, option in whole if own == group]) for group in dict(whole))


class Origins:
    """The options that brought the parts of a configuration.

    Args:
        config: resolved.
        choices: names of options that are known to have been chosen, which are preferred.
    """

    def __init__(self, config: DictConfig, choices: Sequence[str]):
        self.config = config
        self.choices = choices
        self.present = {(key, str(node._target_)) for key, node in constructor_calls(config)}

    def of_term(self, key: str) -> tuple[str, ...]:
        """Options that brought a term or a constraint: that of its loss, if it has one, and its own.

        Of a term with a loss the game goes without saying.
        """
        node = OmegaConf.select(self.config, key)
        while "term" in node:
            key, node = f"{key}.term", node.term
        if "loss" not in node:
            return self.of(node._target_, key)
        return tuple(dict.fromkeys([*self.of(node.loss._target_), *self.of(node._target_, key, TERM_GROUPS[:-2])]))

    def of(self, target: str, key: str | None = None, groups: Sequence[str] = ()) -> tuple[str, ...]:
        """The option that brought a `_target_` to a key, or to any key `loss`; none if it was typed by itself."""
        for group in groups or (TERM_GROUPS if key else ("loss",)):
            found = []
            for option in options_in(group):
                calls = calls_of(group, option)
                if calls.get(key or group) == target and self.has_knobs(group, option):
                    rank = calls.items() <= self.present, option in self.choices, len(calls)
                    found.append((rank, option))
            if found:
                return (max(found)[1],)
        return ()

    def has_knobs(self, group: str, option: str) -> bool:
        """Whether the configuration has the knobs that an option sets in its own group."""
        content, everywhere = content_of(group, option)
        return not everywhere or set(content.get(group) or ()) <= set(self.config.get(group) or ())


TERM_GROUPS = ("regularizer", "method", "likelihood", "prior", "loss", "game")
"""Groups whose options bring terms and constraints, the most particular first."""


def typed(group: str, options: list[str]) -> str:
    """Options as they are typed."""
    return f"{group}={' | '.join(options)}"


def choices(group: str, fits: Callable[[Mapping[str, str]], bool]) -> str:
    """The options of a group that fit by what they bring, as typed; `another GROUP` if there are none, or many."""
    fitting = [option for option in options_in(group) if fits(calls_of(group, option))]
    return typed(group, fitting) if 0 < len(fitting) <= FEW else f"another {group}"
