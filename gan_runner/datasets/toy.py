"""Toy data whose density and modes are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from gan_runner.datasets.base import rng
from gan_runner.turn import Batch


@dataclass(frozen=True, kw_only=True)
class Density:
    """A mixture of isotropic Gaussians of one width, which is what all of them are.

    Subclasses say where the components lie.

    Args:
        std: σ of every component, before scaling.
        scale: everything is divided by this.
    """

    std: float
    scale: float = 1.0

    bounded = False

    def __post_init__(self) -> None:
        if self.std <= 0 or self.scale <= 0:
            raise ValueError(f"dataset.std and dataset.scale must be positive, not {self.std} and {self.scale}")

    def centres(self) -> Tensor:
        """Means of the components before scaling: (k, dim)."""
        raise TypeError(f"{type(self).__name__} does not say where its components lie")

    def weights(self) -> Tensor:
        """Probabilities of the components: (k,)."""
        return torch.ones(len(self.centres())) / len(self.centres())

    @property
    def modes(self) -> Tensor | None:
        """Means of the components (k, dim) where each is a mode of its own, else None."""
        return self.centres() / self.scale

    @property
    def mode_std(self) -> float:
        """σ of every component."""
        return self.std / self.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (self.centres().shape[1],)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) for points (n, dim): (n,), in nats."""
        centres = (self.centres() / self.scale).to(x)
        components = Independent(Normal(centres, torch.full_like(centres, self.mode_std)), 1)
        return MixtureSameFamily(Categorical(self.weights().to(x)), components).log_prob(x)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """n points (n, dim) and the components (n,) that they come from."""
        component = torch.multinomial(self.weights(), n, replacement=True, generator=generator)
        centres = self.centres()[component]
        noise = torch.randn(centres.shape, generator=generator)
        return (centres + self.std * noise) / self.scale, component

    def load(self, device: torch.device, batch_size: int) -> DensityData:
        """Nothing to read: every batch is drawn afresh."""
        return DensityData(self, device)


class DensityData:
    """Fresh draws from a density."""

    def __init__(self, density: Density, device: torch.device):
        self.density = density
        self.device = device

    def stream(self, start: int, size: int, seed: int) -> Iterator[Batch]:
        """All batches from number `start` on."""
        number = start
        while True:
            data, label = self.density.sample(size, rng(seed, number))
            yield {"data": data.to(self.device), "label": label.to(self.device)}
            number += 1

    def real(self, n: int) -> Tensor:
        """n draws that are the same every time."""
        return self.density.sample(n, rng(-1, 0))[0].to(self.device)

    def describe(self) -> str:
        """What it is."""
        return f"fresh draws in {self.density.shape[0]} dimensions from {type(self.density).__name__}"


@dataclass(frozen=True, kw_only=True)
class Ring(Density):
    """Modes evenly around a circle, none of them twice.

    Args:
        count: how many.
        radius: of the circle.
        std: σ of each.
        scale: everything is divided by this.
    """

    count: int = 8
    radius: float = 2.0
    std: float = 0.02
    scale: float = 1.414

    def centres(self) -> Tensor:
        """(count, 2)."""
        angle = torch.arange(self.count) * (2 * math.pi / self.count)
        return self.radius * torch.stack([angle.cos(), angle.sin()], 1)


@dataclass(frozen=True, kw_only=True)
class Grid(Density):
    """Modes on a square grid around the origin.

    Args:
        side: modes a side: side² in all.
        spacing: between neighbours.
        std: σ of each.
        scale: everything is divided by this.
    """

    side: int = 5
    spacing: float = 2.0
    std: float = 0.05
    scale: float = 2.828

    def centres(self) -> Tensor:
        """(side², 2)."""
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return torch.cartesian_prod(axis, axis)


@dataclass(frozen=True, kw_only=True)
class SwissRoll(Density):
    """The plane projection of scikit-learn's Swiss roll: (t cos t, t sin t), t = 1.5 π (1 + 2u), u ~ U(0, 1), plus noise.

    Its density is the integral over u, taken at the midpoints of `nodes` equal steps.

    Args:
        nodes: steps; their distance along the roll, about 85 / nodes, must be well below std.
        std: σ of the noise.
        scale: everything is divided by this.
    """

    nodes: int = 2000
    std: float = 0.25
    scale: float = 7.5

    def centres(self) -> Tensor:
        """(nodes, 2), along the roll."""
        t = 1.5 * math.pi * (1 + 2 * (torch.arange(self.nodes) + 0.5) / self.nodes)
        return torch.stack([t * t.cos(), t * t.sin()], 1)

    @property
    def modes(self) -> None:
        """It has none."""


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Density):
    """Any mixture, by its parameters.

    Args:
        means: of the components, each of the same dimension.
        probabilities: of the components; equal ones if None. They are normalised.
        std: σ of every component.
        scale: everything is divided by this.
    """

    means: tuple[tuple[float, ...], ...]
    probabilities: tuple[float, ...] | None = None
    std: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.means or len({len(mean) for mean in self.means}) != 1 or not self.means[0]:
            raise ValueError("dataset.means must be a list of points of one dimension, as [[-1.0, 0.0], [1.0, 0.0]]")
        chances = self.probabilities
        if chances is not None and (len(chances) != len(self.means) or min(chances) < 0 or sum(chances) <= 0):
            raise ValueError(f"dataset.probabilities must be {len(self.means)} numbers ≥ 0, one for each of dataset.means")

    def centres(self) -> Tensor:
        """(k, dim)."""
        return torch.tensor(self.means)

    def weights(self) -> Tensor:
        """(k,)."""
        chances = torch.tensor(self.probabilities or [1.0] * len(self.means))
        return chances / chances.sum()
