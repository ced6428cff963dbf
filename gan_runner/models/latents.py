"""Priors p(z) of the generator's latents."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gan_runner.tools.formulas import formula


class Latent(Protocol):
    """A prior over latents (n, dim). It draws on a device, from a random number generator if one is given."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n latents: (n, dim)."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """Interpolate from each row of `first` (n, dim) to that of `second`, ends included: (n · steps, dim)."""

    def shift(self, z: Tensor, by: Tensor) -> Tensor:
        """Latents z (n, dim) moved by a vector each, (n, dim)."""


class LinearPaths:
    """A prior whose paths are straight lines."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """Interpolate linearly: (n, dim), (n, dim) → (n · steps, dim), ends included."""
        share = torch.linspace(0, 1, steps, device=first.device, dtype=first.dtype).view(1, -1, 1)
        return first.unsqueeze(1).lerp(second.unsqueeze(1), share).flatten(0, 1)

    def shift(self, z: Tensor, by: Tensor) -> Tensor:
        """The sum (n, dim)."""
        return z + by


class SphericalPaths(LinearPaths):
    """An isotropic prior, whose paths go around the origin."""

    def path(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """Interpolate spherically: (n, dim), (n, dim) → (n · steps, dim), ends included."""
        return spherical_interpolation(torch.cat([first, second]), steps)


MIN_SINE = 1e-4
"""Interpolation is linear if the sine of the angle is smaller, since rounding errors would decide the arc."""


def spherical_interpolation(ends: Tensor, steps: int) -> Tensor:
    """Interpolate from the first half of the rows to the second: (2 rows, dim) → (rows · steps, dim).

    Directions are interpolated spherically (White 2016, arXiv:1609.04468), lengths linearly, since a straight line
    between Gaussian latents passes through lengths that the prior almost never draws. Between equal or opposite
    directions, where there is no unique arc, interpolation is linear.
    """
    first, second = (end.unsqueeze(1) for end in ends.chunk(2))
    share = torch.linspace(0, 1, steps, device=ends.device, dtype=ends.dtype).view(1, -1, 1)
    a, b = normalize(first, dim=2), normalize(second, dim=2)
    angle = 2 * torch.atan2((a - b).norm(dim=2, keepdim=True), (a + b).norm(dim=2, keepdim=True))
    direction = normalize(((1 - share) * angle).sin() * a + (share * angle).sin() * b, dim=2)
    length = first.norm(dim=2, keepdim=True).lerp(second.norm(dim=2, keepdim=True), share)
    return torch.where(angle.sin() > MIN_SINE, length * direction, first.lerp(second, share)).flatten(0, 1)


@formula("N(0, I), dim z = {dim}")
@dataclass(frozen=True)
class Normal(SphericalPaths):
    """z ~ N(0, I)."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return torch.randn(n, self.dim, device=device, generator=rng)


@formula("U({low}, {high}) in each dimension, dim z = {dim}")
@dataclass(frozen=True)
class Uniform(LinearPaths):
    """z ~ U(low, high), independently in each dimension."""

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, device=device, generator=rng)


@formula("uniform on the sphere of radius √{dim}, dim z = {dim}")
@dataclass(frozen=True)
class Sphere(SphericalPaths):
    """z uniform on the sphere of radius √dim, so that each coordinate has mean 0 and variance 1."""

    dim: int

    def __call__(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n."""
        drawn = torch.randn(n, self.dim, device=device, generator=rng)
        return normalize(drawn, dim=1) * self.dim**0.5

    def shift(self, z: Tensor, by: Tensor) -> Tensor:
        """The sum, rescaled to the length of z: (n, dim)."""
        return normalize(z + by, dim=1) * z.norm(dim=1, keepdim=True)


def require_latent(latent: Latent, *kinds: type, why: str, otherwise: str = "") -> None:
    """Refuse a prior for which a formula does not hold.

    Args:
        latent: the prior.
        kinds: the classes of priors for which it holds, the usual one first.
        why: the reason, for the message.
        otherwise: the end of the message, with other choices.

    Raises:
        ValueError: the prior is of none of these classes.
    """
    if isinstance(latent, kinds):
        return
    own, wanted = (inspect.signature(kind).parameters for kind in (type(latent), kinds[0]))
    options = " and ".join(name for name in own if name not in wanted)
    raise ValueError(
        f"{why}, but model.latent is {type(latent).__name__}; set model.latent._target_={__name__}.{kinds[0].__name__}"
        + (f" and leave out its {options}" if options else "")
        + otherwise
    )
