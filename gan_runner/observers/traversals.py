"""Latent traversals: pictures in which one code varies along each row and all other latents are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gan_runner.metrics.codes import needs_codes
from gan_runner.observers.base import Periodic
from gan_runner.plots.grids import draw_traversal
from gan_runner.runs.event import StepEvent
from gan_runner.sampling.traversals import traverse

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Traversals(Periodic):
    """Draws `samples/traversal_CODE_step_*.png` for every code (Chen et al. 2016, arXiv:1606.03657, Fig. 2).

    Args:
        every: steps between two pictures.
        rows: number of fixed latents; more are used if samples are points.
        columns: number of values of a continuous code; all values of a categorical code are shown.
        seed: seed of the latents.
    """

    requirements: ClassVar = (needs_codes,)

    rows: int = 10
    columns: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("columns", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")

    def start(self, run: Run) -> None:
        """Store the run."""
        self.run = run

    def observe(self, event: StepEvent) -> None:
        """Draw a picture per code."""
        for name, samples, values in traverse(self.run.system, None, self.rows, self.columns, self.seed):
            path = self.run.directory.samples / f"traversal_{name}_step_{event.step:07d}.png"
            draw_traversal(path, samples, values)
            event.pictures[f"traversal/{name}"] = path
