"""Evaluation of metrics during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.datasets.base import Split
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.evaluator import Evaluator, check_split
from gan_runner.observers.base import Periodic
from gan_runner.requirements import Requirement
from gan_runner.runs.event import Measurement, StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System


@dataclass
class Evaluation(Periodic):
    """Measures the metrics on generated samples, with averaged weights if there are any.

    A value that depends on the test split is logged, but no step is the best by it.

    Args:
        every: steps between two evaluations.
        samples: number of samples, compared with as many real samples.
        seed: seed of the latents.
        split: split of the real samples: train, validation or test.
    """

    samples: int = 2000
    seed: int = 1
    split: Split = "train"

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The split."""
        return (self.check,)

    def check(self, system: System) -> None:
        """Raise ValueError if the dataset does not have the split."""
        check_split(system.dataset, self.split, "split")

    def start(self, run: Run) -> None:
        """Draw the latents, and load what metrics need."""
        self.run = run
        data = run.data if self.split == "train" else None
        self.evaluator = Evaluator(run.system, run.metrics, self.samples, self.seed, self.split, data, selecting=True)
        if self.every > 0:
            self.evaluator.prepare()

    def observe(self, event: StepEvent) -> None:
        """Measure all metrics."""
        if not self.run.metrics:
            return
        directions = {
            name: best for metric in self.run.metrics.values() for name, best in directions_of(metric).items()
        }
        for name, value in self.evaluator.measure().items():
            better = None if name in self.evaluator.of_test else directions.get(name)
            event.measure(name, Measurement(value, better, self.evaluator.conditions[name]))
        event.metric_seconds = dict(self.evaluator.seconds)
