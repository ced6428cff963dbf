"""What a misspelt word may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The nearest choice (behind a prefix) as a question, else all of them; empty if there are none."""
    choices = sorted(map(str, choices))
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; choose from {', '.join(choices)}" if choices else ""
