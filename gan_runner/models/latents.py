"""Priors p(z) over a generator's input."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize


class Latent(Protocol):
    """Draws (n, dim) latents on a device, from a generator of random numbers if one is given."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """From each of the first (n, dim) to its second (n, dim), both among the steps: (n · steps, dim)."""

    def moved(self, z: Tensor, by: Tensor) -> Tensor:
        """Latents (n, dim) with something (n, dim) added."""


class Straight:
    """Latents among which paths are straight, as in any vector space."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """From each of the first (n, dim) to its second (n, dim), both among the steps: (n · steps, dim)."""
        share = torch.linspace(0, 1, steps, device=first.device, dtype=first.dtype).view(1, -1, 1)
        return first.unsqueeze(1).lerp(second.unsqueeze(1), share).flatten(0, 1)

    def moved(self, z: Tensor, by: Tensor) -> Tensor:
        """The sum (n, dim)."""
        return z + by


class Round(Straight):
    """Latents whose density is the same in all directions: paths go around the origin."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """From each of the first (n, dim) to its second (n, dim), both among the steps: (n · steps, dim)."""
        return interpolation(torch.cat([first, second]), steps)


FLAT = 1e-4
"""Between directions the sine of whose angle is smaller the way is straight: rounding would choose the arc."""


def interpolation(ends: Tensor, steps: int) -> Tensor:
    """Rows of latents from one end to the other: (2 rows, dim) → (rows · steps, dim).

    Directions are interpolated spherically (White 2016, arXiv:1609.04468), lengths linearly: between Gaussian latents a
    straight line would pass through lengths that the prior never draws. Where no arc is the shortest, between opposite
    directions, and where an arc is a line, between equal ones, the way is straight.
    """
    first, second = (end.unsqueeze(1) for end in ends.chunk(2))
    share = torch.linspace(0, 1, steps, device=ends.device, dtype=ends.dtype).view(1, -1, 1)
    a, b = normalize(first, dim=2), normalize(second, dim=2)
    angle = 2 * torch.atan2((a - b).norm(dim=2, keepdim=True), (a + b).norm(dim=2, keepdim=True))
    direction = normalize(((1 - share) * angle).sin() * a + (share * angle).sin() * b, dim=2)
    length = first.norm(dim=2, keepdim=True).lerp(second.norm(dim=2, keepdim=True), share)
    return torch.where(angle.sin() > FLAT, length * direction, first.lerp(second, share)).flatten(0, 1)


@dataclass(frozen=True)
class Normal(Round):
    """z ~ N(0, I)."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return torch.randn(n, self.dim, device=device, generator=rng)


@dataclass(frozen=True)
class Uniform(Straight):
    """z ~ U(low, high), independently in each dimension."""

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, device=device, generator=rng)


@dataclass(frozen=True)
class Sphere(Round):
    """z uniform on the sphere of radius √dim, where each coordinate has mean 0 and variance 1."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        drawn = torch.randn(n, self.dim, device=device, generator=rng)
        return normalize(drawn, dim=1) * self.dim**0.5

    def moved(self, z: Tensor, by: Tensor) -> Tensor:
        """The sum, brought back to the length that each latent had: (n, dim)."""
        return normalize(z + by, dim=1) * z.norm(dim=1, keepdim=True)


def demand(latent: Latent, *kinds: type, why: str, otherwise: str = "") -> None:
    """Refuse a prior that a formula is not about.

    Args:
        latent: the prior.
        kinds: of priors that it is about, the usual one first.
        why: so.
        otherwise: what else may be chosen.

    Raises:
        ValueError: the prior is of none of these kinds.
    """
    if isinstance(latent, kinds):
        return
    own, wanted = (inspect.signature(kind).parameters for kind in (type(latent), kinds[0]))
    options = " and ".join(name for name in own if name not in wanted)
    raise ValueError(
        f"{why}, and model.latent is {type(latent).__name__}; set model.latent._target_={__name__}.{kinds[0].__name__}"
        + (f" and leave out its {options}" if options else "")
        + otherwise
    )
