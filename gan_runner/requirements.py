"""What a part demands of that which it is given to: said beside the part, checked before data is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from torch import nn

Requirement = Callable[..., None]
"""Looks at what the part is given to, and raises ValueError: why it cannot work, what to choose.

That of a term or constraint may ask by name for the `game`, and for the networks of the `others`.
"""


Part = TypeVar("Part", bound=Callable)


def requires(*requirements: Requirement) -> Callable[[Part], Part]:
    """Mark a term or constraint with its demands on the player's networks, a metric with those on all that plays."""

    def mark(part: Part) -> Part:
        part.requirements = requirements  # type: ignore[attr-defined]
        return part

    return mark


def check_requirements(part: Any, subject: Any, **around: Any) -> None:
    """Raise the ValueError of the first demand that `subject` does not meet, nor what is `around` it."""
    function = part.func if isinstance(part, partial) else part
    for requirement in getattr(function, "requirements", ()):
        asked = inspect.signature(requirement).parameters
        requirement(subject, **{name: value for name, value in around.items() if name in asked})


def judged(networks: Mapping[str, nn.Module], game: Any = None, others: Mapping[str, nn.Module] | None = None) -> None:
    """Somebody must judge data, where the game has a place for one."""
    judge = getattr(game, "judge", None)
    if judge not in {None, *networks, *(others or {})}:
        raise ValueError(
            f"it looks at model.{judge}, and no player owns one here; choose likelihood=[observer,synthetic], or leave "
            "it out"
        )
