"""The nearest training images of generated images, to see whether the generator memorises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gan_runner.datasets.images import ImageDataset
from gan_runner.extractors.base import Extractor
from gan_runner.observers.base import Periodic
from gan_runner.plots.grids import nearest_grid, save_image
from gan_runner.requirements import Requirement
from gan_runner.runs.event import StepEvent
from gan_runner.tools.activity import Activity

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System

Space = Callable[[Tensor], Tensor]
"""A feature space for distances: images (n, c, h, w) → (n, d)."""


def pixels(images: Tensor) -> Tensor:
    """Return images (n, c, h, w) as pixel vectors: (n, c · h · w)."""
    return images.flatten(1)


def needs_finite_images(system: System) -> None:
    """Require a finite dataset of images."""
    if not isinstance(system.dataset, ImageDataset):
        kind = "is generated without end" if len(system.dataset.shape) == 3 else f"has shape {system.dataset.shape}"
        raise ValueError(
            f"it searches all training images, and this data {kind}; choose observer=default, or a dataset of images"
        )


class Nearest:
    """The k nearest neighbours of queries among all images added so far, by Euclidean distance.

    Distances are computed from differences, not inner products, so a copy has distance zero. Of images at the same
    distance, the first one added is nearer.

    Attributes:
        distances: distances (n, k), in order; fewer than k while fewer images are added.
        indices: positions (n, k) of the neighbours in the order of addition.
        images: the neighbours (n, k, c, h, w).

    Args:
        queries: features (n, d) of the queries.
        k: number of neighbours.
        shape: shape (c, h, w) of an image.
    """

    def __init__(self, queries: Tensor, k: int, shape: tuple[int, ...]):
        self.queries = queries
        self.k = k
        self.count = 0
        self.distances = queries.new_empty(len(queries), 0)
        self.indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
        self.images = queries.new_empty(len(queries), 0, *shape)

    def add(self, features: Tensor, images: Tensor) -> None:
        """Add images (m, c, h, w) with features (m, d) to the search."""
        n, kept = self.distances.shape
        distances = torch.cdist(self.queries, features, compute_mode="donot_use_mm_for_euclid_dist")
        distances = torch.cat([self.distances, distances], 1)
        order = distances.argsort(dim=1, stable=True)[:, : self.k]
        self.distances = distances.gather(1, order)
        rows = torch.arange(n, device=order.device).unsqueeze(1)
        place = torch.where(order < kept, rows * kept + order, n * kept + order - kept)
        numbers = torch.arange(self.count, self.count + len(images), device=order.device)
        self.indices = torch.cat([self.indices.flatten(), numbers])[place]
        self.images = torch.cat([self.images.flatten(0, 1), images])[place]
        self.count += len(images)


@torch.no_grad()
def nearest(samples: Tensor, chunks: Iterable[Tensor], spaces: Mapping[str, Space], k: int) -> dict[str, Nearest]:
    """Return the k nearest neighbours of samples (n, c, h, w) among chunks of images (m, c, h, w), in each space."""
    found = {name: Nearest(space(samples), k, tuple(samples.shape[1:])) for name, space in spaces.items()}
    for images in chunks:
        for name, space in spaces.items():
            found[name].add(space(images), images)
    return found


@dataclass
class Neighbours(Periodic):
    """Draws `samples/neighbours_SPACE_*.png`: each sample beside its nearest training images.

    Each picture reads the whole training data once.

    Args:
        every: steps between two pictures.
        samples: number of samples.
        k: number of neighbours per sample.
        seed: seed of the latents.
        chunk: images compared at a time.
        extractor: adds the feature space of this network.
        spaces: feature spaces by name: functions from images (n, c, h, w) to features (n, d).
    """

    samples: int = 10
    k: int = 7
    seed: int = 0
    chunk: int = 256
    extractor: Extractor | None = None
    spaces: Mapping[str, Any] = field(default_factory=lambda: {"pixels": pixels})

    def __post_init__(self) -> None:
        for name in ("samples", "k", "chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A finite dataset of images, and images that the network accepts."""
        return (needs_finite_images, *([] if self.extractor is None else [self.extractor.check]))

    def start(self, run: Run) -> None:
        """Draw the latents, and load the feature network."""
        self.run = run
        if self.extractor is not None and self.every > 0:
            extract = self.extractor.open(run.system.dataset, run.system.device).extract
            self.spaces = {**self.spaces, self.extractor.name: lambda images: extract(images).features}
        self.noise = run.system.noise(self.samples, self.seed)

    def observe(self, event: StepEvent) -> None:
        """Search the training data and draw the pictures."""
        samples = self.run.system.sample(self.noise)
        data: Any = self.run.data
        with Activity("searching for neighbours of samples", len(data), "training images") as activity:
            images = activity.count(batch["data"] for batch in data.epoch(self.chunk))
            neighbours = nearest(samples, images, self.spaces, self.k)
        for name, found in neighbours.items():
            path = self.run.directory.samples / f"neighbours_{name}_{event.step:07d}.png"
            save_image(path, nearest_grid(samples, found.images))
            event.pictures[f"neighbours/{name}"] = path
