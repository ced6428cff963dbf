"""Words that a command line of `gan-run` cannot have, each with what to type instead."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata

from gan_runner.cli.flags import SWITCHES, VALUES
from gan_runner.config.comments import GROUPS, groups, names_of
from gan_runner.config.lookup import either, known_knobs, suggested_knob
from gan_runner.config.suggestions import near
from gan_runner.errors import ConfigError


def check_words(flags: Iterable[str], overrides: Iterable[str]) -> None:
    """Check the words of a command line before Hydra reads them.

    Args:
        flags: those that Hydra does not have.
        overrides: the words GROUP=NAME and KEY=VALUE.

    Raises:
        ConfigError: a flag does not exist, or a group is set to null.
    """
    for flag in flags:
        raise ConfigError(f"there is no flag {flag}{instead_of_flag(flag)}")
    for word in overrides:
        group, _, value = word.partition("=")
        if group in GROUPS and "null" in value.split(","):
            raise ConfigError(f"{word}: null is no {group}; {instead_of_null(group)}")


def instead_of_flag(flag: str) -> str:
    """What to type instead of a flag that does not exist: an option is typed without dashes."""
    name, _, value = flag.partition("=")
    key = name.lstrip("-").replace("-", "_")
    if key in known_knobs() or key in GROUPS:
        return f"; options have no dashes: {key}={value or 'VALUE'}"
    if similar := near(name, (other for names in (*SWITCHES, *VALUES) for other in names), 0.75):
        return f"; did you mean {similar}?"
    return suggested_knob(key, ()) or "; options are typed KEY=VALUE, and gan-run --help lists them"


def instead_of_null(group: str) -> str:
    """What to type instead of `GROUP=null`."""
    if groups()[group].is_list:
        return f"type '{group}=[]' for none"
    return f"gan-run --help {group} lists the choices" if groups()[group].default else "leave it out"


def instead_of_name(word: str) -> str:
    """What to type instead of a word without `=`: a choice of a group, if it is the name of an option."""
    found = [group for group in GROUPS if word in names_of(group)]
    return f"; did you mean {either(f'{group}={word}' for group in found)}?" if found else ""


def not_installed(group: str, name: str) -> str:
    """How to install the plugin of Hydra for a launcher or sweeper; empty for names that are not known."""
    if group not in PLUGINS:
        return ""
    package, extras = name.partition("_")[0], []
    with suppress(PackageNotFoundError):  # run from a checkout
        extras = metadata("gan-runner").get_all("Provides-Extra") or []
    if package in extras:
        return f"; it is not installed: pip install 'gan-runner[{package}]'"
    if package in PLUGINS.get(group, ()):
        return f"; it is not installed: pip install hydra-{package}-{group.removeprefix('hydra/')}"
    return ""


PLUGINS = {"hydra/launcher": ("rq",), "hydra/sweeper": ("ax", "nevergrad")}
"""Other plugins of Hydra, by group, as they are named in `hydra-NAME-launcher` and `hydra-NAME-sweeper`."""
