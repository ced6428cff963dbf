"""What an encoder makes of data that was held out: reconstructions, its latent space, paths between data."""

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
    """Draws `samples/NAME_step_*.png` of data that was not trained on, where there is some.

    Args:
        every: steps between two pictures.
        split: of the data; None takes that for testing, else that for validation, and else that for training.
    """

    name: ClassVar[str]

    split: Split | None = None

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The game must encode, and the data have the split."""
        return (encodes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the data has no such split."""
        resolve_split(system.dataset, self.split)

    @property
    @abstractmethod
    def shown(self) -> int:
        """How many of the data are looked at, for this run's kind of it."""

    def start(self, run: Run) -> None:
        """Read what is looked at."""
        self.run = run
        self.of_images = len(run.system.dataset.shape) == 3
        if self.every > 0:
            self.batch = run.split(resolve_split(run.system.dataset, self.split)).first(self.shown)

    def observe(self, event: StepEvent) -> None:
        """Draw."""
        path = self.run.directory.samples / f"{self.name}_step_{event.step:07d}.png"
        self.draw(path, event.step)
        event.pictures[self.name] = path

    @abstractmethod
    def draw(self, path: Path, step: int) -> None:
        """Write the picture."""


@dataclass
class Reconstructions(HeldOut):
    """Draws `samples/reconstructions_step_*.png`: under each row of images what comes back of them from their codes.

    Args:
        every: steps between two pictures.
        split: of the data; None takes that for testing, else that for validation, and else that for training.
        images: how many.
        columns: of images.
        points: how many, where data is points.
    """

    name = "reconstructions"

    images: int = 32
    columns: int = 8
    points: int = 500

    def __post_init__(self) -> None:
        at_least_one(images=self.images, columns=self.columns, points=self.points)

    @property
    def shown(self) -> int:
        """Images or points."""
        return self.images if self.of_images else self.points

    def draw(self, path: Path, step: int) -> None:
        """In pairs."""
        data = self.batch["data"]
        draw_pairs(path, data, reconstruct(self.run.system, data), self.columns, "reconstruction")


@dataclass
class LatentSpace(HeldOut):
    """Draws `samples/latent_space_step_*.png`: codes among draws of the prior, in a plane and by quantiles.

    A code is a draw of q(z|x): these, and not their means, follow the prior where an encoder is right.

    Args:
        every: steps between two pictures.
        split: of the data; None takes that for testing, else that for validation, and else that for training.
        codes: how many, at most, and as many draws of the prior.
        seed: of both.
    """

    name = "latent_space"

    codes: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.codes < 2:
            raise ValueError(f"codes={self.codes} must be at least 2")

    @property
    def shown(self) -> int:
        """So many."""
        return self.codes

    def draw(self, path: Path, step: int) -> None:
        """Two panels."""
        system = self.run.system
        codes = draw_codes(system, self.batch["data"], derive_seed(self.seed, 1))
        prior = system.noise(len(codes), self.seed)[:, : codes.shape[1]]
        groups = groups_of(system.dataset.labels, self.batch.get("label"))
        draw_latent_space(path, codes, prior, groups, f"step {step:,}: codes of data")


@dataclass
class Interpolations(HeldOut):
    """Draws `samples/interpolations_step_*.png`: rows from one datum to another, through the space of codes.

    Each row begins and ends with the data themselves; between them is what is made on the way from code to code.

    Args:
        every: steps between two pictures.
        split: of the data; None takes that for testing, else that for validation, and else that for training.
        rows: how many pairs.
        columns: steps on the way, both codes among them.
    """

    name = "interpolations"

    rows: int = 8
    columns: int = 8

    def __post_init__(self) -> None:
        at_least_one(rows=self.rows)
        if self.columns < 2:
            raise ValueError(f"columns={self.columns} must be at least 2")

    @property
    def shown(self) -> int:
        """Two a row."""
        return 2 * self.rows

    def observe(self, event: StepEvent) -> None:
        """Draw, if there is a pair."""
        if len(self.batch["data"]) > 1:
            super().observe(event)

    def draw(self, path: Path, step: int) -> None:
        """A row a pair."""
        data = self.batch["data"]
        first, second = data[: len(data) // 2], data[len(data) // 2 : 2 * (len(data) // 2)]
        draw_paths(path, paths(self.run.system, first, second, self.columns), first, second)


@dataclass
class Attributes(Observer):
    """Keeps mean codes of training data in checkpoints: with each attribute or class, and without.

    So that `gan-sample --attribute` needs no data. Where labels mean nothing, nothing is kept.

    Args:
        samples: how many of the data are looked at for each checkpoint, at most.
    """

    requirements: ClassVar = (encodes,)
    saved_as = "attributes"

    samples: int = 5000

    def __post_init__(self) -> None:
        at_least_one(samples=self.samples)

    def start(self, run: Run) -> None:
        """Remember the run."""
        self.run = run

    def state_dict(self) -> dict[str, Any]:
        """The mean codes of the networks as they are now."""
        system = self.run.system
        labels = system.dataset.labels
        return {} if labels is None else code_means(system, labels, self.run.data, self.samples)
