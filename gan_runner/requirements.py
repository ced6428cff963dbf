"""What a part demands of that which it is given to: said beside the part, checked before data is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gan_runner.build import Parts

Requirement = Callable[[Any], None]
"""Looks at what the part is given to, and raises ValueError: why it cannot work, what to choose."""

Part = TypeVar("Part", bound=Callable)


def requires(*requirements: Requirement, of_game: Sequence[Requirement] = ()) -> Callable[[Part], Part]:
    """Mark a term or constraint with its demands on the player's networks, a metric with those on all that plays.

    Args:
        requirements: these.
        of_game: of a term or constraint, its demands on the game.
    """

    def mark(part: Part) -> Part:
        part.requirements, part.of_game = requirements, of_game  # type: ignore[attr-defined]
        return part

    return mark


def check_requirements(part: Any, subject: Any, kind: str = "requirements") -> None:
    """Raise the ValueError of the first demand of a kind that `subject` does not meet."""
    function = part.func if isinstance(part, partial) else part
    for requirement in getattr(function, kind, ()):
        requirement(subject)


def encodes(parts: Parts) -> None:
    """Data must have codes."""
    if parts.encoder is None:
        raise ValueError(
            f"it looks at codes of data, and {type(parts.game).__name__} makes none; choose a game with an encoder, "
            "such as game=vae, or model=real_nvp, or leave it out"
        )
