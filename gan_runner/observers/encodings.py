"""Pictures of an encoder on held-out data: reconstructions, latent space, interpolations."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gan_runner.datasets.base import Split, derive_seed
from gan_runner.metrics.classification import resolve_split
from gan_runner.models.sizes import at_least_one
from gan_runner.observers.base import Observer, Periodic
from gan_runner.plots.grids import draw_pairs, draw_paths
from gan_runner.plots.latent_space import draw_latent_space, groups_of
from gan_runner.requirements import Requirement
from gan_runner.runs.event import StepEvent
from gan_runner.sampling.attributes import code_means
from gan_runner.sampling.inference import draw_codes, encodes, paths, reconstruct

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System


@dataclass
class HeldOut(Periodic):
    """Base class: draws `samples/NAME_step_*.png` from held-out data, if there is any.

    Args:
        every: steps between two pictures.
        split: split of the data; None takes test, else validation, else train.
    """

    name: ClassVar[str]

    split: Split | None = None

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A game with an encoder or an invertible generator, and the split."""
        return (encodes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the dataset does not have the split."""
        resolve_split(system.dataset, self.split)

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of real samples in the picture."""

    def start(self, run: Run) -> None:
        """Load the real samples of the picture."""
        self.run = run
        self.is_image = len(run.system.dataset.shape) == 3
        if self.every > 0:
            self.batch = run.split(resolve_split(run.system.dataset, self.split)).first(self.count)

    def observe(self, event: StepEvent) -> None:
        """Draw the picture."""
        path = self.run.directory.samples / f"{self.name}_step_{event.step:07d}.png"
        self.draw(path, event.step)
        event.pictures[self.name] = path

    @abstractmethod
    def draw(self, path: Path, step: int) -> None:
        """Write the picture."""


@dataclass
class Reconstructions(HeldOut):
    """Draws `samples/reconstructions_step_*.png`: rows of images, each above the row of their reconstructions.

    Args:
        every: steps between two pictures.
        split: split of the data; None takes test, else validation, else train.
        images: number of images.
        columns: images per row.
        points: number of points, if data is points.
    """

    name = "reconstructions"

    images: int = 32
    columns: int = 8
    points: int = 500

    def __post_init__(self) -> None:
        at_least_one(images=self.images, columns=self.columns, points=self.points)

    @property
    def count(self) -> int:
        """The number of images or points."""
        return self.images if self.is_image else self.points

    def draw(self, path: Path, step: int) -> None:
        """Draw pairs of data and reconstructions."""
        data = self.batch["data"]
        draw_pairs(path, data, reconstruct(self.run.system, data), self.columns, "reconstruction")


@dataclass
class LatentSpace(HeldOut):
    """Draws `samples/latent_space_step_*.png`: codes of data and draws of the prior, in a plane and as quantiles.

    A code is a draw of q(z|x). With an ideal encoder, such draws, and not their means, follow the prior.

    Args:
        every: steps between two pictures.
        split: split of the data; None takes test, else validation, else train.
        codes: maximal number of codes, and of draws of the prior.
        seed: seed of both.
    """

    name = "latent_space"

    codes: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.codes < 2:
            raise ValueError(f"codes={self.codes} must be at least 2")

    @property
    def count(self) -> int:
        """The number of codes."""
        return self.codes

    def draw(self, path: Path, step: int) -> None:
        """Draw codes and prior."""
        system = self.run.system
        codes = draw_codes(system, self.batch["data"], derive_seed(self.seed, 1))
        prior = system.noise(len(codes), self.seed)[:, : codes.shape[1]]
        groups = groups_of(system.dataset.labels, self.batch.get("label"))
        draw_latent_space(path, codes, prior, groups, f"step {step:,}: codes of data")


@dataclass
class Interpolations(HeldOut):
    """Draws `samples/interpolations_step_*.png`: rows of interpolations in latent space between two real samples.

    Each row starts and ends with the real samples. Between them are samples generated on the path between their codes.

    Args:
        every: steps between two pictures.
        split: split of the data; None takes test, else validation, else train.
        rows: number of pairs.
        columns: steps of the path, including both ends.
    """

    name = "interpolations"

    rows: int = 8
    columns: int = 8

    def __post_init__(self) -> None:
        at_least_one(rows=self.rows)
        if self.columns < 2:
            raise ValueError(f"columns={self.columns} must be at least 2")

    @property
    def count(self) -> int:
        """Two real samples per row."""
        return 2 * self.rows

    def observe(self, event: StepEvent) -> None:
        """Draw the picture, if there are at least two real samples."""
        if len(self.batch["data"]) > 1:
            super().observe(event)

    def draw(self, path: Path, step: int) -> None:
        """Draw one row per pair."""
        data = self.batch["data"]
        first, second = data[: len(data) // 2], data[len(data) // 2 : 2 * (len(data) // 2)]
        draw_paths(path, paths(self.run.system, first, second, self.columns), first, second)


@dataclass
class Attributes(Observer):
    """Saves mean codes of training data with and without each attribute or class in checkpoints.

    With them, `gan-sample --attribute` needs no data. Nothing is saved if the dataset has no labels.

    Args:
        samples: maximal number of training samples to encode for each checkpoint.
    """

    requirements: ClassVar = (encodes,)
    saved_as = "attributes"

    samples: int = 5000

    def __post_init__(self) -> None:
        at_least_one(samples=self.samples)

    def start(self, run: Run) -> None:
        """Store the run."""
        self.run = run

    def state_dict(self) -> dict[str, Any]:
        """Return the mean codes of the current networks."""
        system = self.run.system
        labels = system.dataset.labels
        return {} if labels is None else code_means(system, labels, self.run.data, self.samples)
