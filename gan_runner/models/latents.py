"""Priors p(z) over a generator's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


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


def interpolation(ends: Tensor, steps: int) -> Tensor:
    """Rows of latents from one end to the other: (2 rows, dim) → (rows · steps, dim).

    Spherical (White 2016, arXiv:1609.04468): between Gaussian latents a straight line would pass through lengths
    that the prior never draws.
    """
    first, second = ends.chunk(2)
    share = torch.linspace(0, 1, steps, device=ends.device).view(1, -1, 1)
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.acos().view(-1, 1, 1)
    along = (
        ((1 - share) * angle).sin() * first.unsqueeze(1) + (share * angle).sin() * second.unsqueeze(1)
    ) / angle.sin()
    return along.flatten(0, 1)


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
        return torch.nn.functional.normalize(drawn, dim=1) * self.dim**0.5

    def moved(self, z: Tensor, by: Tensor) -> Tensor:
        """The sum, brought back to the length that each latent had: (n, dim)."""
        return torch.nn.functional.normalize(z + by, dim=1) * z.norm(dim=1, keepdim=True)
