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


@dataclass(frozen=True)
class Normal:
    """z ~ N(0, I)."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return torch.randn(n, self.dim, device=device, generator=rng)


@dataclass(frozen=True)
class Uniform:
    """z ~ U(low, high), independently in each dimension."""

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, device=device, generator=rng)


@dataclass(frozen=True)
class Sphere:
    """z uniform on the sphere of radius √dim, where each coordinate has mean 0 and variance 1."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        drawn = torch.randn(n, self.dim, device=device, generator=rng)
        return torch.nn.functional.normalize(drawn, dim=1) * self.dim**0.5
