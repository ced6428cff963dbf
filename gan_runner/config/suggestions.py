"""Suggestions for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The choice that is spelt most alike, by a ratio of at least `cutoff`; None if there is none.

    Choices in folders are also compared without their folder.
    """
    choices = sorted(map(str, choices))
    last = {choice.rpartition("/")[2]: choice for choice in choices}
    found = difflib.get_close_matches(word, choices, 1, cutoff) or [
        last[name] for name in difflib.get_close_matches(word.rpartition("/")[2], last, 1, cutoff)
    ]
    return found[0] if found else None


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The nearest choice, after `prefix`, as a question; all choices if none is near; empty if there are none.

    Choices in folders are listed by their folder.
    """
    choices = sorted(map(str, choices))
    if found := near(word, choices):
        return f"; did you mean {prefix}{found}?"
    listed = dict.fromkeys(f"{name.partition('/')[0]}/…" if "/" in name else name for name in choices)
    return f"; choose from {', '.join(listed)}" if choices else ""
