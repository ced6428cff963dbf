"""Toy data: densities and modes that are known, and a case that has no density."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from gan_runner.datasets.base import ALL, Split, rng
from gan_runner.datasets.labels import Labels, classes, shares
from gan_runner.turn import Batch

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""Draws of their own for each."""


def require_positive(**options: float) -> None:
    """Raise ValueError for an option that is not a positive, finite number."""
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"dataset.{name} must be positive and finite, not {value}")


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

    @property
    def splits(self) -> tuple[Split, ...]:
        """All of them: what is drawn was never seen before."""
        return SPLITS

    def __post_init__(self) -> None:
        require_positive(std=self.std, scale=self.scale)

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
    def labels(self) -> Labels | None:
        """The component that a point comes from, by its number, where each is a mode of its own."""
        return None if self.modes is None else classes(len(self.modes))

    @property
    def mode_std(self) -> float:
        """σ of every component."""
        return self.std / self.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (self.centres().shape[1],)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) of points (n, dim), in nats."""
        centres = (self.centres() / self.scale).to(x)
        components = Independent(Normal(centres, torch.full_like(centres, self.mode_std)), 1)
        return MixtureSameFamily(Categorical(self.weights().to(x)), components).log_prob(x)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, dim) and the components (n,) that they come from."""
        component = torch.multinomial(self.weights(), n, replacement=True, generator=generator)
        centres = self.centres()[component]
        noise = torch.randn(centres.shape, generator=generator)
        return (centres + self.std * noise) / self.scale, component

    def load(self, device: torch.device, split: Split = "train") -> FreshDraws:
        """Nothing to read: every batch is drawn afresh."""
        return FreshDraws(self, device, split)


class Source(Protocol):
    """What can be drawn from without end."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, dim) and labels (n,)."""


MANY = 100_000  # draws: the share of a label that 1 in 8 has is then right to 0.1 %
AT_ONCE = 64  # batches: drawing many takes hardly longer than drawing one


class FreshDraws:
    """Fresh draws from a density, or whatever else can be drawn from."""

    def __init__(self, source: Source, device: torch.device, split: Split = "train"):
        self.source = source
        self.device = device
        self.split = split

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """All batches from number `start` on."""
        for chunk in count(start // AT_ONCE):
            drawn = self.source.sample(AT_ONCE * size, rng(seed, chunk))
            batches = zip(*(part.to(self.device).split(size) for part in drawn))
            for data, label in islice(batches, max(0, start - chunk * AT_ONCE), None):
                yield {"data": data[rows], "label": label[rows]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """All n at once: points are small."""
        yield self.real(n)

    def real(self, n: int) -> Tensor:
        """Draws (n, dim) that are the same every time."""
        return self.first(n)["data"]

    def first(self, n: int) -> Batch:
        """The same with their labels."""
        data, label = self.source.sample(n, rng(-1, SPLITS.index(self.split)))
        return {"data": data.to(self.device), "label": label.to(self.device)}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """The different labels (k,), and the share of many draws that has each (k,)."""
        return shares(self.first(MANY)["label"])

    def describe(self) -> str:
        """What it is."""
        return f"fresh draws in {self.source.shape[0]} dimensions from {type(self.source).__name__}"


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

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(count=self.count, radius=self.radius)

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

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(side=self.side, spacing=self.spacing)

    def centres(self) -> Tensor:
        """(side², 2)."""
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return torch.cartesian_prod(axis, axis)


@dataclass(frozen=True, kw_only=True)
class SwissRoll(Density):
    """Scikit-learn's Swiss roll from its end: (t cos t, t sin t) + noise, t = 1.5 π (1 + 2u), u ~ U(0, 1).

    Its density is the integral over u, taken at the midpoints of `nodes` equal steps. Where these are no
    further apart than σ, it ripples by less than 10⁻⁸ of itself.

    Args:
        nodes: steps; at the outer end they lie 4.5 π · 3 π / nodes, or 133 / nodes, apart.
        std: σ of the noise.
        scale: everything is divided by this.
    """

    nodes: int = 2000
    std: float = 0.25
    scale: float = 7.5

    def __post_init__(self) -> None:
        super().__post_init__()
        enough = math.ceil(13.5 * math.pi**2 / self.std)
        if self.nodes < enough:
            raise ValueError(
                f"dataset.nodes={self.nodes} is too few for dataset.std={self.std}: choose {enough} or more"
            )

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
        points = self.means
        if not points or not points[0] or len({len(point) for point in points}) != 1:
            raise ValueError("dataset.means must be points of one dimension, as [[-1.0, 0.0], [1.0, 0.0]]")
        if not all(math.isfinite(x) for point in points for x in point):
            raise ValueError(f"dataset.means must be finite, not {points}")
        chances = self.probabilities
        if chances is None:
            return
        fine = all(0 <= chance < math.inf for chance in chances) and sum(chances) > 0
        if not fine or len(chances) != len(points):
            raise ValueError(f"dataset.probabilities must be {len(points)} numbers ≥ 0, one for each mean")

    def centres(self) -> Tensor:
        """(k, dim)."""
        return torch.tensor(self.means)

    def weights(self) -> Tensor:
        """(k,)."""
        chances = torch.tensor(self.probabilities or [1.0] * len(self.means))
        return chances / chances.sum()


@dataclass(frozen=True, kw_only=True)
class ParallelLines:
    """(x, u) with u ~ U(0, 1) and x one of some positions (Arjovsky et al. 2017, arXiv:1701.07875, Example 1).

    The example has the data at 0 and the model at θ.

    Args:
        positions: where the lines stand, all equally probable.
    """

    positions: tuple[float, ...] = (0.0,)

    shape = (2,)
    bounded = False
    splits: ClassVar[tuple[Split, ...]] = SPLITS

    def __post_init__(self) -> None:
        if not self.positions or not all(math.isfinite(x) for x in self.positions):
            raise ValueError(f"dataset.positions must be finite numbers, at least one, not {list(self.positions)}")

    @property
    def labels(self) -> Labels | None:
        """The line on which a point lies, by its number."""
        return classes(len(self.positions))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, 2) and the lines (n,) on which they lie."""
        line = torch.randint(len(self.positions), (n,), generator=generator)
        return torch.stack([torch.tensor(self.positions)[line], torch.rand(n, generator=generator)], 1), line

    def load(self, device: torch.device, split: Split = "train") -> FreshDraws:
        """Nothing to read: every batch is drawn afresh."""
        return FreshDraws(self, device, split)
