"""Divergences between two parallel lines at distance θ, in closed form and as estimated by critics.

The data is at 0 and the model at θ (Arjovsky et al. 2017, arXiv:1701.07875, Example 1). Unless θ = 0, their supports
are disjoint: both KL divergences are infinite and JS is log 2 for all θ, and only W₁ = |θ| depends on the distance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_runner.plots.scatter import save_figure
from gan_runner.runs.saved import SavedRun, runs_in
from gan_runner.runs.sweep import SweepCallback

ANALYTIC: Mapping[str, Callable[[float], float]] = {
    "KL(p‖q)": lambda theta: 0.0 if theta == 0 else math.inf,
    "KL(q‖p)": lambda theta: 0.0 if theta == 0 else math.inf,
    "JS": lambda theta: 0.0 if theta == 0 else math.log(2),
    "W₁": abs,
}
"""Closed form of each divergence as a function of θ."""

ESTIMATED_BY: Mapping[str, tuple[str, float]] = {
    "KL(p‖q)": ("fgan_kl", 1.0),
    "KL(q‖p)": ("fgan_reverse_kl", 1.0),
    "JS": ("fgan_js", 0.5),
    "W₁": ("wgan_gp", 1.0),
}
"""The loss whose critic estimates each divergence, and a factor: fgan_js bounds 2 JS."""

Curve = Sequence[tuple[float, float]]
"""(θ, value), ordered by θ."""


def curves(runs: Sequence[SavedRun], metric: str) -> dict[str, Curve]:
    """Return the final value of a metric against θ, by loss, over the completed runs of a sweep."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        typed = dict(override.split("=", 1) for override in run.overrides)
        value = run.outcome.get("final", {}).get(f"metric/{metric}")
        if value is not None and "loss" in typed and "model.generator.theta" in typed:
            found[typed["loss"]].append((float(typed["model.generator.theta"]), value))
    return {loss: sorted(points) for loss, points in found.items()}


def draw_divergences(path: Path, values: Mapping[str, Curve], gradients: Mapping[str, Curve]) -> None:
    """Write a PNG of each divergence against θ, estimated and analytic, and of the generator's gradients.

    Args:
        path: path of the PNG.
        values: estimates of the critics, by loss.
        gradients: minus the derivative of the generator's loss by θ, by loss.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 6), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    for number, name in enumerate(ANALYTIC):
        axes = figure.add_subplot(grid[number // 2, number % 2])
        loss, scale = ESTIMATED_BY[name]
        draw_divergence(axes, name, [(theta, scale * value) for theta, value in values.get(loss, [])])
    axes = figure.add_subplot(grid[:, 2:])
    draw_gradients(axes, gradients)
    save_figure(path, figure)


def draw_divergence(axes: Any, name: str, computed: Curve) -> None:
    """Draw the analytic divergence as a line, broken at jumps, and the estimates as points."""
    thetas = [theta for theta, _ in computed]
    reach = max((abs(theta) for theta in thetas), default=1.0)
    end = ANALYTIC[name](reach)
    infinite = math.isinf(end)
    top = 1.15 * max([value for _, value in computed] + [math.log(2) if infinite else end])
    for side in (-1, 1):
        ends = [1e-9, reach]
        heights = [min(ANALYTIC[name](end), top) for end in ends]
        axes.plot([side * end for end in ends], heights, color="tab:blue", linewidth=2, clip_on=False)
    if infinite:
        axes.text(reach, 0.93 * top, "∞", color="tab:blue", fontsize=14, ha="right", va="top")
    axes.plot(0, ANALYTIC[name](0), "o-", color="tab:blue", markersize=5, label="analytic")
    axes.plot(thetas, [value for _, value in computed], "x", color="tab:orange", markersize=8, label="by a critic")
    axes.set(title=name, xlabel="θ", ylim=(-0.05 * top, 1.03 * top))
    axes.grid(alpha=0.3)
    axes.legend(loc="center right" if infinite else "lower right", fontsize=8)


def draw_gradients(axes: Any, gradients: Mapping[str, Curve]) -> None:
    """Draw −∂(generator's loss)/∂θ by loss; it moves θ towards the data at 0 if its sign is that of −θ."""
    for loss, points in gradients.items():
        axes.plot([theta for theta, _ in points], [value for _, value in points], "o-", markersize=4, label=loss)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes.set_yscale("symlog", linthresh=1e-2)
    axes.set(title="gradient of the generator, −∂L/∂θ", xlabel="θ")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)


class SweepDivergences(SweepCallback):
    """Writes `divergences.png` at the end of a sweep over losses and θ."""

    def conclude(self, directory: Path) -> None:
        """Read the runs of the sweep and draw the picture."""
        runs = runs_in(directory)
        values, gradients = curves(runs, "critic_value"), curves(runs, "push")
        if values:
            path = directory / "divergences.png"
            draw_divergences(path, values, gradients)
            print(f"divergences, estimated and analytic: {path}")
