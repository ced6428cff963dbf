"""Toy datasets: mixtures with known densities and modes, and parallel lines, which have no density."""

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
from gan_runner.datasets.labels import Labels, as_classes, frequencies
from gan_runner.turn import Batch

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""The samples of each split are drawn independently."""


def require_positive(**options: float) -> None:
    """Raise ValueError if an option is not a positive, finite number."""
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"dataset.{name} must be positive and finite, not {value}")


@dataclass(frozen=True, kw_only=True)
class Density:
    """Base class: a mixture of isotropic Gaussians with the same σ. Subclasses define the means.

    Args:
        std: σ of every component, before scaling.
        scale: divisor of all coordinates.
    """

    std: float
    scale: float = 1.0

    bounded = False

    @property
    def splits(self) -> tuple[Split, ...]:
        """All splits: each has its own samples."""
        return SPLITS

    def __post_init__(self) -> None:
        require_positive(std=self.std, scale=self.scale)

    def centres(self) -> Tensor:
        """Return the means (k, dim) of the components before scaling."""
        raise TypeError(f"{type(self).__name__} does not define the means of its components")

    def weights(self) -> Tensor:
        """Return the probabilities (k,) of the components."""
        return torch.ones(len(self.centres())) / len(self.centres())

    @property
    def modes(self) -> Tensor | None:
        """Means (k, dim) of the components if each is a separate mode, else None."""
        return self.centres() / self.scale

    @property
    def labels(self) -> Labels | None:
        """The number of the component, if each component is a separate mode."""
        return None if self.modes is None else as_classes(len(self.modes))

    @property
    def mode_std(self) -> float:
        """σ of every component."""
        return self.std / self.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (self.centres().shape[1],)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density (n,) of points (n, dim) in nats."""
        centres = (self.centres() / self.scale).to(x)
        components = Independent(Normal(centres, torch.full_like(centres, self.mode_std)), 1)
        return MixtureSameFamily(Categorical(self.weights().to(x)), components).log_prob(x)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw points (n, dim) with the numbers (n,) of their components."""
        component = torch.multinomial(self.weights(), n, replacement=True, generator=generator)
        centres = self.centres()[component]
        noise = torch.randn(centres.shape, generator=generator)
        return (centres + self.std * noise) / self.scale, component

    def load(self, device: torch.device, split: Split = "train") -> FreshDraws:
        """Return the data; every batch is newly drawn."""
        return FreshDraws(self, device, split)


class Source(Protocol):
    """A distribution to draw samples from."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw points (n, dim) and labels (n,)."""


FREQUENCY_SAMPLES = 100_000  # the frequency of a label, for example 1 in 8, is then accurate to 0.1 %
BATCHES_PER_DRAW = 64  # drawing many batches takes hardly longer than drawing one


class FreshDraws:
    """Independent samples of a distribution, newly drawn for every batch."""

    def __init__(self, source: Source, device: torch.device, split: Split = "train"):
        self.source = source
        self.device = device
        self.split = split

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from number `start` on."""
        for chunk in count(start // BATCHES_PER_DRAW):
            drawn = self.source.sample(BATCHES_PER_DRAW * size, rng(seed, chunk))
            batches = zip(*(part.to(self.device).split(size) for part in drawn))
            for data, label in islice(batches, max(0, start - chunk * BATCHES_PER_DRAW), None):
                yield {"data": data[rows], "label": label[rows]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield all n samples in one chunk, since points are small."""
        yield self.real(n)

    def real(self, n: int) -> Tensor:
        """Return n fixed samples (n, dim)."""
        return self.first(n)["data"]

    def first(self, n: int) -> Batch:
        """Return n fixed samples with their labels."""
        data, label = self.source.sample(n, rng(-1, SPLITS.index(self.split)))
        return {"data": data.to(self.device), "label": label.to(self.device)}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return the distinct labels (k,) and their frequencies (k,) in many samples."""
        return frequencies(self.first(FREQUENCY_SAMPLES)["label"])

    def describe(self) -> str:
        """Describe the data."""
        return f"samples in {self.source.shape[0]} dimensions from {type(self.source).__name__}"


@dataclass(frozen=True, kw_only=True)
class Ring(Density):
    """Gaussians evenly spaced on a circle.

    Args:
        count: number of modes.
        radius: radius of the circle.
        std: σ of each mode.
        scale: divisor of all coordinates.
    """

    count: int = 8
    radius: float = 2.0
    std: float = 0.02
    scale: float = 1.414

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(count=self.count, radius=self.radius)

    def centres(self) -> Tensor:
        """Return the points on the circle: (count, 2)."""
        angle = torch.arange(self.count) * (2 * math.pi / self.count)
        return self.radius * torch.stack([angle.cos(), angle.sin()], 1)


@dataclass(frozen=True, kw_only=True)
class Grid(Density):
    """Gaussians on a square grid around the origin.

    Args:
        side: modes per side, side² in total.
        spacing: distance between neighbouring modes.
        std: σ of each mode.
        scale: divisor of all coordinates.
    """

    side: int = 5
    spacing: float = 2.0
    std: float = 0.05
    scale: float = 2.828

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(side=self.side, spacing=self.spacing)

    def centres(self) -> Tensor:
        """Return the points of the grid: (side², 2)."""
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return torch.cartesian_prod(axis, axis)


@dataclass(frozen=True, kw_only=True)
class SwissRoll(Density):
    """Scikit-learn's Swiss roll, projected to the plane: (t cos t, t sin t) + noise, t = 1.5 π (1 + 2u), u ~ U(0, 1).

    The density is the integral over u by the midpoint rule with `nodes` nodes. If their distance is at most σ, its
    relative error is below 10⁻⁸.

    Args:
        nodes: number of nodes; at the outer end they are 4.5 π · 3 π / nodes, or 133 / nodes, apart.
        std: σ of the noise.
        scale: divisor of all coordinates.
    """

    nodes: int = 2000
    std: float = 0.25
    scale: float = 7.5

    def __post_init__(self) -> None:
        super().__post_init__()
        enough = math.ceil(13.5 * math.pi**2 / self.std)
        if self.nodes < enough:
            raise ValueError(
                f"dataset.nodes={self.nodes} is too small for dataset.std={self.std}; choose {enough} or more"
            )

    def centres(self) -> Tensor:
        """Return points along the roll: (nodes, 2)."""
        t = 1.5 * math.pi * (1 + 2 * (torch.arange(self.nodes) + 0.5) / self.nodes)
        return torch.stack([t * t.cos(), t * t.sin()], 1)

    @property
    def modes(self) -> None:
        """None: the roll has no separate modes."""


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Density):
    """A mixture of isotropic Gaussians with any means.

    Args:
        means: means of the components, all of the same dimension.
        probabilities: probabilities of the components, which are normalised; None for equal probabilities.
        std: σ of every component.
        scale: divisor of all coordinates.
    """

    means: tuple[tuple[float, ...], ...]
    probabilities: tuple[float, ...] | None = None
    std: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        points = self.means
        if not points or not points[0] or len({len(point) for point in points}) != 1:
            raise ValueError("dataset.means must be points of the same dimension, such as [[-1.0, 0.0], [1.0, 0.0]]")
        if not all(math.isfinite(x) for point in points for x in point):
            raise ValueError(f"dataset.means must be finite, not {points}")
        probabilities = self.probabilities
        if probabilities is None:
            return
        valid = all(0 <= p < math.inf for p in probabilities) and sum(probabilities) > 0
        if not valid or len(probabilities) != len(points):
            raise ValueError(f"dataset.probabilities must be {len(points)} numbers ≥ 0, one per mean")

    def centres(self) -> Tensor:
        """Return the means (k, dim)."""
        return torch.tensor(self.means)

    def weights(self) -> Tensor:
        """Return the normalised probabilities (k,)."""
        probabilities = torch.tensor(self.probabilities or [1.0] * len(self.means))
        return probabilities / probabilities.sum()


@dataclass(frozen=True, kw_only=True)
class ParallelLines:
    """Points (x, u) with u ~ U(0, 1) and x one of a few positions (Arjovsky et al. 2017, arXiv:1701.07875, Example 1).

    In the example the data is at x = 0 and the model at x = θ.

    Args:
        positions: positions of the lines, equally probable.
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
        """The number of the line."""
        return as_classes(len(self.positions))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw points (n, 2) with the numbers (n,) of their lines."""
        line = torch.randint(len(self.positions), (n,), generator=generator)
        return torch.stack([torch.tensor(self.positions)[line], torch.rand(n, generator=generator)], 1), line

    def load(self, device: torch.device, split: Split = "train") -> FreshDraws:
        """Return the data; every batch is newly drawn."""
        return FreshDraws(self, device, split)
