"""The critic's estimate as a learning curve, beside an independent metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from gan_runner.observers.base import Observer
from gan_runner.plots.scatter import save_figure
from gan_runner.runs.event import Measurement, StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run

Pair = tuple[int, float, float]
"""(step, estimate, truth)."""


@dataclass
class Progress(Observer):
    """Draws `samples/progress.png` and measures `progress_correlation`, whether the critic's estimate tracks progress.

    That of WGAN does (Arjovsky et al. 2017, arXiv:1701.07875, Figure 3; Gulrajani et al. 2017, arXiv:1704.00028, Figure
    5). The value is Pearson's correlation over all evaluations so far, at least three.

    Args:
        estimate: name of a metric that the critic estimates. `critic_value` is minus the discriminator's loss without
            penalties, for WGAN E_p[D] − E_q[D].
        truth: name of a metric that does not depend on the critic.
    """

    measures: ClassVar = {"progress_correlation": max}

    estimate: str = "critic_value"
    truth: str = "wasserstein"

    def __post_init__(self) -> None:
        self.reads = (self.estimate, self.truth)

    def start(self, run: Run) -> None:
        """Read the evaluations of a resumed run up to this step."""
        self.run = run
        lines = run.directory.read_metrics()
        pairs = (self.pair(line["step"], line) for line in lines if line["step"] <= run.step)
        self.pairs = [pair for pair in pairs if pair is not None]

    def pair(self, step: int, values: Mapping[str, float | None]) -> Pair | None:
        """Return the step with both values, if both were measured and are finite."""
        found = [values.get(f"metric/{name}") for name in self.reads]
        finite = [value for value in found if value is not None and math.isfinite(value)]
        return (step, *finite) if len(finite) == 2 else None  # type: ignore[return-value]

    def __call__(self, event: StepEvent) -> None:
        """Update correlation and picture, if both values were measured at this step."""
        pair = self.pair(event.step, event.scalars)
        if pair is None:
            return
        self.pairs.append(pair)
        value = correlation(self.pairs)
        if math.isfinite(value):
            event.measure("progress_correlation", Measurement(value, max))
        path = self.run.directory.samples / "progress.png"
        draw_progress(path, self.pairs, self.estimate, self.truth, value)
        event.pictures["progress"] = path


def correlation(pairs: Sequence[Pair]) -> float:
    """Return Pearson's correlation of both values; NaN for fewer than three pairs or a constant value."""
    if len(pairs) < 3:
        return math.nan
    return torch.corrcoef(torch.tensor(pairs, dtype=torch.float64)[:, 1:].T)[0, 1].item()


def draw_progress(path: Path, pairs: Sequence[Pair], estimate: str, truth: str, value: float) -> None:
    """Write a PNG of both values against the step, each on its own axis, and of one against the other."""
    from matplotlib.figure import Figure

    steps, estimates, truths = zip(*pairs)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    beside = left.twinx()
    for axis, values, name, colour in ((left, estimates, estimate, "C0"), (beside, truths, truth, "C1")):
        axis.plot(steps, values, "o-", color=colour, markersize=3)
        axis.set_ylabel(name, color=colour)
        axis.tick_params(axis="y", labelcolor=colour)
    left.set(xlabel="step", title=f"{estimate} and {truth}")
    right.plot(truths, estimates, color="0.85", linewidth=0.8, zorder=0)
    drawn = right.scatter(truths, estimates, c=steps, cmap="viridis_r", s=20)
    figure.colorbar(drawn, ax=right, label="step", shrink=0.8)
    right.set(xlabel=truth, ylabel=estimate, title=f"correlation {value:.3f}" if math.isfinite(value) else "")
    save_figure(path, figure)
