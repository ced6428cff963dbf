"""Observation models p(x|z): reconstruction errors of samples, most of them −log p(x|z) in nats.

The generator's output is the location of the distribution, so the error is an absolute difference for the Laplace and a
squared one for the normal distribution. location (n, *shape), x (n, *shape) → the error of each sample, (n,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from gan_runner.tools.formulas import fill, formula, number


class Observation(Protocol):
    """A reconstruction error."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """The error of each sample: (n,)."""


def positive(scale: float) -> None:
    """Raise ValueError unless the scale is positive and finite."""
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"scale={scale} must be positive and finite")


@formula(
    lambda part, symbols: fill(
        f"‖{{real}} − {{reconstruction}}‖₁ / {{scale}} + dim x · log {number(2 * part.scale)}", part, symbols
    )
)
@dataclass(frozen=True)
class Laplace:
    """Laplace distribution: Σ |x − location| / scale + log(2 scale) over the elements.

    Args:
        scale: mean absolute deviation of an element, in units of the data.
    """

    scale: float = 0.1

    def __post_init__(self) -> None:
        positive(self.scale)

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z): (n,), in nats."""
        return ((x - location).abs() / self.scale + math.log(2 * self.scale)).flatten(1).sum(1)


@formula("‖{real} − {reconstruction}‖² / (2 · {scale}²) + dim x · log({scale} √2π)")
@dataclass(frozen=True)
class Normal:
    """Normal distribution: Σ (x − location)² / 2 scale² + log(scale √2π) over the elements.

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


@formula("−log Bernoulli({real}; {reconstruction})")
@dataclass(frozen=True)
class Bernoulli:
    """Cross-entropy, summed over the elements: x and location in [−1, 1] are rescaled to probabilities of white."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z): (n,), in nats."""
        chance, share = ((a.flatten(1) + 1) / 2 for a in (location, x))
        chance = chance.clamp(1e-6, 1 - 1e-6)
        return -(share * chance.log() + (1 - share) * (1 - chance).log()).sum(1)


@formula("‖{real} − {reconstruction}‖₁ / dim x")
@dataclass(frozen=True)
class AbsoluteError:
    """The mean of |x − location| over the elements. It is not a log density; a weight sets its scale."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """The error of each sample: (n,)."""
        return (x - location).abs().flatten(1).mean(1)


@formula("‖{real} − {reconstruction}‖² / dim x")
@dataclass(frozen=True)
class SquaredError:
    """The mean of (x − location)² over the elements. It is not a log density; a weight sets its scale."""

    def __call__(self, location: Tensor, x: Tensor) -> Tensor:
        """The error of each sample: (n,)."""
        return (x - location).square().flatten(1).mean(1)
