"""p(x|z), up to what a generator makes of z: how far data may lie from its reconstruction, in nats.

The generator's output is the location of the distribution, so maximum likelihood is a distance: absolute for Laplace's,
squared for the normal one. Each is a call: location (n, *shape), x (n, *shape) → −log p(x|z) of each datum, (n,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Observation(Protocol):
    """How unlikely data is, given its reconstruction."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """(n,)."""


def positive(scale: float) -> None:
    """Raise ValueError for a scale that is none."""
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"scale={scale} must be positive")


@dataclass(frozen=True)
class Laplace:
    """|x − location| / scale + log(2 scale), the sum over elements.

    Args:
        scale: mean absolute deviation of an element, in units of the data.
    """

    scale: float = 0.1

    def __post_init__(self) -> None:
        positive(self.scale)

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z): (n,), in nats."""
        return ((x - location).abs() / self.scale + math.log(2 * self.scale)).flatten(1).sum(1)


@dataclass(frozen=True)
class Normal:
    """(x − location)² / 2 scale² + log(scale √2π), the sum over elements.

    Args:
        scale: standard deviation of an element, in units of the data.
    """

    scale: float = 0.1

    def __post_init__(self) -> None:
        positive(self.scale)

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z): (n,), in nats."""
        squares = (x - location).square() / (2 * self.scale**2)
        return (squares + math.log(self.scale * math.sqrt(2 * math.pi))).flatten(1).sum(1)


@dataclass(frozen=True)
class Bernoulli:
    """Each element of data in [−1, 1] is the chance of a white one: cross-entropy, the sum over elements."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z): (n,), in nats."""
        chance, share = ((a.flatten(1) + 1) / 2 for a in (location, x))
        chance = chance.clamp(1e-6, 1 - 1e-6)
        return -(share * chance.log() + (1 - share) * (1 - chance).log()).sum(1)


@dataclass(frozen=True)
class AbsoluteError:
    """|x − location|, the mean over elements: no density, but a distance that a weight is put on."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """(n,)."""
        return (x - location).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class SquaredError:
    """(x − location)², the mean over elements: no density, but a distance that a weight is put on."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """(n,)."""
        return (x - location).square().flatten(1).mean(1)
