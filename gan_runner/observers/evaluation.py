"""Metrics, while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.datasets.base import Split
from gan_runner.metrics.evaluator import Evaluator, check_split
from gan_runner.metrics.figures import best_of
from gan_runner.observers.base import Observer, StepEvent
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System


@dataclass
class Evaluation(Observer):
    """Measures samples, on averaged weights where there are any.

    Args:
        every: steps between two measurements.
        samples: how many are drawn, and compared with as many of the data.
        seed: of the latents.
        split: of the data: train, validation or test.
    """

    every: int
    samples: int = 2000
    seed: int = 1
    split: Split = "train"

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The data must have the split."""
        return (self.check,)

    def check(self, system: System) -> None:
        """Raise ValueError if the data has no such split."""
        check_split(system.dataset, self.split, "split")

    def start(self, run: Run) -> None:
        """Fix the latents; make ready what metrics look through."""
        self.run = run
        data = run.data if self.split == "train" else None
        self.evaluator = Evaluator(run.system, run.metrics, self.samples, self.seed, self.split, data, choosing=True)
        self.evaluator.conditions.update(run.measured_on)  # of a run that goes on, and may be at its end
        run.measured_on = self.evaluator.conditions
        run.metric_seconds = self.evaluator.seconds
        if self.every > 0:
            self.evaluator.prepare()

    def __call__(self, event: StepEvent) -> None:
        """Measure, if it is time; remember the best of each figure."""
        if not (self.run.metrics and event.due(self.every)):
            return
        figures = self.evaluator.measure()
        event.scalars |= {f"metric/{name}": value for name, value in figures.items()}
        for metric in self.run.metrics.values():
            for name, better in best_of(metric).items():
                self.run.keep_best(name, figures[name], better, event.step)
