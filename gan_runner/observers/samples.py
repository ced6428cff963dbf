"""Pictures of samples, of the same latents every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.observers.base import Moment, Observer
from gan_runner.pictures import draw

if TYPE_CHECKING:
    from gan_runner.run import Run


@dataclass
class Samples(Observer):
    """Draws `samples/step_*.png`.

    Args:
        every: steps between two pictures.
        images: how many images a grid shows.
        points: how many points a scatter shows.
        seed: of the latents.
    """

    every: int
    images: int = 64
    points: int = 1000
    seed: int = 0

    def start(self, run: Run) -> None:
        """Fix the latents."""
        self.run = run
        drawn_as_image = len(run.parts.dataset.shape) == 3
        self.noise = run.parts.noise(self.images if drawn_as_image else self.points, self.seed)
        self.density = run.parts.dataset if hasattr(run.parts.dataset, "log_prob") else None

    def __call__(self, moment: Moment) -> None:
        """Draw, if it is time."""
        if not moment.due(self.every):
            return
        path = self.run.directory.samples / f"step_{moment.step:07d}.png"
        parts = self.run.parts
        draw(path, parts.sample(self.noise), self.density, parts.surface())
        moment.pictures["samples"] = path
