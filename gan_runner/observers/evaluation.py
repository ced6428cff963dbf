"""Metrics, while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.metrics import Results, best_of
from gan_runner.observers.base import Moment, Observer

if TYPE_CHECKING:
    from gan_runner.run import Run


@dataclass
class Evaluation(Observer):
    """Measures samples, on averaged weights where there are any.

    Args:
        every: steps between two measurements.
        samples: how many are drawn, and compared with as many of the data.
        seed: of the latents.
    """

    every: int
    samples: int = 2000
    seed: int = 1

    def start(self, run: Run) -> None:
        """Fix the latents and the real samples."""
        self.run = run
        if run.metrics:
            self.noise = run.parts.noise(self.samples, self.seed)
            self.real = run.data.real(self.samples)

    def __call__(self, moment: Moment) -> None:
        """Measure, if it is time; remember the best of each figure."""
        if not (self.run.metrics and moment.due(self.every)):
            return
        results = Results(self.run.parts, self.noise, self.real)
        for metric in self.run.metrics.values():
            for name, value in metric(results).items():
                moment.scalars[f"metric/{name}"] = value
                self.run.keep_best(name, value, best_of(metric)[name], moment.step)
