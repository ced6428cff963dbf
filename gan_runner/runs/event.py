"""A training step, as observers see it, and what they add to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_runner.metrics.base import Better


@dataclass(frozen=True)
class Measurement:
    """The value of a metric.

    Attributes:
        value: which may be NaN.
        better: `min` or `max`, for a metric whose best value is remembered.
        conditions: how it was measured: samples, split of the data, and what the metric adds.
    """

    value: float
    better: Better | None = None
    conditions: Mapping[str, Any] | None = None


@dataclass
class StepEvent:
    """A training step.

    Attributes:
        step: training steps done, this one included.
        report: what the players reported, still on the device; what has several elements stands for their mean.
        last: whether it was the last step of the run.
        stop_signal: the signal that stops the run after this step, before its last.
        values: report and gradient norms as numbers, once they were fetched (`gan_runner.runs.divergence.fetch`).
        non_finite: names of the losses, gradients and weights that were found to be infinite or NaN.
        scalars: what is to be logged, by key.
        pictures: image files to be logged, by key.
        measurements: by metric.
        metric_seconds: how long each metric took since the run was started or resumed.
    """

    step: int
    report: Mapping[str, Tensor] = field(default_factory=dict)
    last: bool = False
    stop_signal: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    non_finite: list[str] = field(default_factory=list)
    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    measurements: dict[str, Measurement] = field(default_factory=dict)
    metric_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ends(self) -> bool:
        """Whether the run ends after this step."""
        return self.last or self.stop_signal is not None

    def due(self, every: int) -> bool:
        """Whether something that is done every so many steps (0: never), and after the last one, is due."""
        return every > 0 and (self.last or self.step % every == 0)

    def measure(self, name: str, measurement: Measurement) -> None:
        """Add the value of a metric, which is logged as `metric/NAME`."""
        self.measurements[name] = measurement
        self.scalars[f"metric/{name}"] = measurement.value
