"""The nearest training images of generated ones: does the generator repeat what it has seen?"""

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

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System

Space = Callable[[Tensor], Tensor]
"""Where distances are measured: images (n, c, h, w) → (n, d)."""


def pixels(images: Tensor) -> Tensor:
    """Images (n, c, h, w) as they are: (n, c · h · w)."""
    return images.flatten(1)


def needs_finite_images(system: System) -> None:
    """Samples must be images, of which there is an end."""
    if not isinstance(system.dataset, ImageDataset):
        kind = "is drawn afresh" if len(system.dataset.shape) == 3 else f"has shape {system.dataset.shape}"
        raise ValueError(
            f"it looks for the nearest of all training images, and this data {kind}; "
            "choose observer=default, or a dataset of images"
        )


class Nearest:
    """The k nearest of all images that were shown so far to some queries, by the Euclidean distance.

    Distances are those of differences, not of inner products, so that a copy is at distance zero. Of equal ones the
    first shown is the nearer.

    Attributes:
        distances: (n, k), in order; less than k while less were shown.
        indices: of these images, in the order in which all were shown: (n, k).
        images: (n, k, c, h, w).

    Args:
        queries: (n, d).
        k: how many.
        shape: (c, h, w).
    """

    def __init__(self, queries: Tensor, k: int, shape: tuple[int, ...]):
        self.queries = queries
        self.k = k
        self.shown = 0
        self.distances = queries.new_empty(len(queries), 0)
        self.indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
        self.images = queries.new_empty(len(queries), 0, *shape)

    def show(self, features: Tensor, images: Tensor) -> None:
        """Consider more images (m, c, h, w) with these features (m, d)."""
        n, kept = self.distances.shape
        distances = torch.cdist(self.queries, features, compute_mode="donot_use_mm_for_euclid_dist")
        distances = torch.cat([self.distances, distances], 1)
        order = distances.argsort(dim=1, stable=True)[:, : self.k]
        self.distances = distances.gather(1, order)
        rows = torch.arange(n, device=order.device).unsqueeze(1)
        place = torch.where(order < kept, rows * kept + order, n * kept + order - kept)
        numbers = torch.arange(self.shown, self.shown + len(images), device=order.device)
        self.indices = torch.cat([self.indices.flatten(), numbers])[place]
        self.images = torch.cat([self.images.flatten(0, 1), images])[place]
        self.shown += len(images)


@torch.no_grad()
def nearest(samples: Tensor, chunks: Iterable[Tensor], spaces: Mapping[str, Space], k: int) -> dict[str, Nearest]:
    """The k nearest to each sample (n, c, h, w) of all images, chunk by chunk (m, c, h, w), in each of the spaces."""
    found = {name: Nearest(space(samples), k, tuple(samples.shape[1:])) for name, space in spaces.items()}
    for images in chunks:
        for name, space in spaces.items():
            found[name].show(space(images), images)
    return found


@dataclass
class Neighbours(Periodic):
    """Draws `samples/neighbours_SPACE_*.png`: each sample, and beside it the nearest of all training images.

    Every picture reads all the data once.

    Args:
        every: steps between two pictures.
        samples: how many.
        k: how many neighbours of each.
        seed: of the latents.
        chunk: images compared at a time.
        extractor: also look for the nearest in the space of its features.
        spaces: in which nearness is meant, by name: functions from images (n, c, h, w) to features (n, d).
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
        """Images, and what its network can look at."""
        return (needs_finite_images, *([] if self.extractor is None else [self.extractor.check]))

    def start(self, run: Run) -> None:
        """Fix the latents; open the feature network."""
        self.run = run
        if self.extractor is not None and self.every > 0:
            look = self.extractor.open(run.system.dataset, run.system.device).extract
            self.spaces = {**self.spaces, self.extractor.name: lambda images: look(images).features}
        self.noise = run.system.noise(self.samples, self.seed)

    def observe(self, event: StepEvent) -> None:
        """Search and draw."""
        samples = self.run.system.sample(self.noise)
        data: Any = self.run.data
        images = (batch["data"] for batch in data.epoch(self.chunk))
        for name, found in nearest(samples, images, self.spaces, self.k).items():
            path = self.run.directory.samples / f"neighbours_{name}_{event.step:07d}.png"
            save_image(path, nearest_grid(samples, found.images))
            event.pictures[f"neighbours/{name}"] = path
