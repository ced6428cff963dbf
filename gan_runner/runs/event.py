"""The event that observers receive after a training step, and add measurements to."""

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
        value: the number; it may be NaN.
        better: `min` or `max`, for a metric whose best value is stored.
        conditions: how it was measured: number of samples, split of the data, and what the metric adds.
    """

    value: float
    better: Better | None = None
    conditions: Mapping[str, Any] | None = None


@dataclass
class StepEvent:
    """A training step, as observers see it.

    Attributes:
        step: training steps done, including this one.
        report: the reported values by name, still on the device; a tensor stands for its mean.
        last: whether this was the last step of the run.
        stop_signal: the signal that stops the run after this step, if it is not the last.
        values: the report and the gradient norms as numbers, once fetched (`gan_runner.runs.divergence.fetch`).
        non_finite: names of the losses, gradients and weights that are infinite or NaN.
        scalars: numbers to log, by key.
        pictures: image files to log, by key.
        measurements: by metric.
        metric_seconds: seconds that each metric took since the run was started or resumed.
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
        """Whether an action with this interval in steps (0: never) is due. It also is after the last step."""
        return every > 0 and (self.last or self.step % every == 0)

    def measure(self, name: str, measurement: Measurement) -> None:
        """Add the value of a metric, and log it as `metric/NAME`."""
        self.measurements[name] = measurement
        self.scalars[f"metric/{name}"] = measurement.value
