"""Pictures of samples from fixed latents, and an animation of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gan_runner.datasets.base import HasDensity
from gan_runner.observers.base import Periodic
from gan_runner.plots.animation import animate
from gan_runner.plots.samples import draw
from gan_runner.plots.surfaces import critic_surface, sample_gradient_field
from gan_runner.runs.directory import of_steps, step_of
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Samples(Periodic):
    """Draws `samples/step_*.png`, and animates them as `samples/training.gif` at the end of the run.

    Args:
        every: steps between two pictures.
        images: number of images in a grid.
        points: number of points in a scatter plot.
        seed: seed of the latents.
    """

    images: int = 64
    points: int = 1000
    seed: int = 0

    def start(self, run: Run) -> None:
        """Draw the latents."""
        self.run = run
        drawn_as_image = len(run.system.dataset.shape) == 3
        rng = torch.Generator().manual_seed(self.seed)
        n = self.images if drawn_as_image else self.points
        self.shown = run.system.game.sample_grid(run.system.networks, n, rng)
        self.density = run.system.dataset if isinstance(run.system.dataset, HasDensity) else None
        self.real = run.data.real(self.points) if run.system.dataset.shape == (2,) else None

    def observe(self, event: StepEvent) -> None:
        """Draw the picture."""
        path = self.run.directory.samples / f"step_{event.step:07d}.png"
        system = self.run.system
        samples = system.sample(self.shown.noise)
        field = None if self.real is None else sample_gradient_field(system, self.real, samples)
        surface = critic_surface(system)
        draw(path, samples, self.density, surface, field, event.step, self.shown.columns, self.shown.captions)
        event.pictures["samples"] = path

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Animate the pictures up to the last step, unless the run failed."""
        folder = self.run.directory.samples
        frames = [path for path in sorted(of_steps(folder, ".png")) if step_of(path) <= summary["step"]]
        if self.every > 0 and len(frames) > 1 and summary["status"] != "failed":
            animate(folder / "training.gif", frames)
