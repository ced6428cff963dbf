"""What a critic makes of points: a surface of scores, and a field of directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Surface:
    """A scalar at every point, as a critic sees it.

    Attributes:
        title: what it is.
        values: points (n, dim) → (n,).
        centred: whether its zero means something, and so is drawn white.
    """

    title: str
    values: Callable[[Tensor], Tensor]
    centred: bool = False


@dataclass(frozen=True)
class Field:
    """A direction at every point, as the generator is pushed.

    Attributes:
        title: what it is.
        arrows: points (n, dim) → (n, dim).
    """

    title: str
    arrows: Callable[[Tensor], Tensor]
