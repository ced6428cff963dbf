"""Evaluation of metrics during training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_runner.datasets.base import Split
from gan_runner.metrics.base import Positive, directions_of
from gan_runner.metrics.evaluator import Evaluator, check_samples, check_split, split_during_training
from gan_runner.observers.base import Periodic
from gan_runner.requirements import Requirement
from gan_runner.runs.event import Measurement, StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run
    from gan_runner.system import System

log = logging.getLogger("gan_runner")


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

    samples: Positive = 2000
    seed: int = 1
    split: Split = "train"

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The split."""
        return (self.check,)

    def check(self, system: System) -> None:
        """Raise ValueError if the dataset does not have the split."""
        check_split(system.dataset, self.split, "split")

    def check_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Check that every metric works with this number of samples.

        Raises:
            ConfigError: one needs more.
        """
        if self.every > 0:
            check_samples(metrics, self.samples, "observer.evaluation.samples is")

    def start(self, run: Run) -> None:
        """Draw the latents, and load what metrics need."""
        self.run = run
        data = run.data if self.split == "train" else None
        self.evaluator = Evaluator(run.system, run.metrics, self.samples, self.seed, self.split, data, selecting=True)
        if self.every > 0:
            warn_of_training_data(run.metrics, run.system.dataset.splits)
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


def warn_of_training_data(metrics: Mapping[str, Any], splits: Sequence[Split]) -> None:
    """Warn of metrics that measure on data that is not trained on, if the dataset has none."""
    for name, metric in metrics.items():
        chooses_train = split_during_training(metric, splits, "test") == "train"  # not just that of the evaluation
        if chooses_train and "test" not in splits and "validation" not in splits:
            log.warning(
                "metric=%s is measured on the training data, because the dataset has no other split; set "
                "dataset.held_out=N, or choose a dataset with a test split",
                name,
            )
