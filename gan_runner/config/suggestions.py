"""What a misspelt word may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from gan_runner.errors import ConfigError


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The nearest choice (behind a prefix) as a question, else all of them; empty if there are none."""
    choices = sorted(map(str, choices))
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; choose from {', '.join(choices)}" if choices else ""


def choose(key: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ConfigError if a value is not among its choices."""
    choices = list(choices)
    if value not in choices:
        names = ["null" if choice is None else str(choice) for choice in choices]
        raise ConfigError(f"{key}={value} is not known{did_you_mean(str(value), names)}")
