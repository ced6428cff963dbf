"""Suggestions for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The nearest choice, after `prefix`, as a question; all choices if none is near; empty if there are none.

    Choices in folders are also compared without their folder, and listed by their folder.
    """
    choices = sorted(map(str, choices))
    last = {choice.rpartition("/")[2]: choice for choice in choices}
    near = difflib.get_close_matches(word, choices, n=1) or [
        last[name] for name in difflib.get_close_matches(word.rpartition("/")[2], last, n=1)
    ]
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    listed = dict.fromkeys(f"{name.partition('/')[0]}/…" if "/" in name else name for name in choices)
    return f"; choose from {', '.join(listed)}" if choices else ""
