"""Two parallel lines, θ apart: their divergences in closed form, and the picture of what critics make of them.

The data stand at 0, the model at θ (Arjovsky et al. 2017, arXiv:1701.07875, Example 1). Unless θ = 0 they do not meet:
both KL are infinite and JS is log 2 wherever θ is, and only the distance W₁ = |θ| says how far it has to go.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gan_runner.plots.scatter import save_figure
from gan_runner.runs.saved import SavedRun, runs_in
from gan_runner.runs.sweep import sweep_directory

ANALYTIC: Mapping[str, Callable[[float], float]] = {
    "KL(p‖q)": lambda theta: 0.0 if theta == 0 else math.inf,
    "KL(q‖p)": lambda theta: 0.0 if theta == 0 else math.inf,
    "JS": lambda theta: 0.0 if theta == 0 else math.log(2),
    "W₁": abs,
}
"""What each distance is at θ."""

ESTIMATED_BY: Mapping[str, tuple[str, float]] = {
    "KL(p‖q)": ("fgan_kl", 1.0),
    "KL(q‖p)": ("fgan_reverse_kl", 1.0),
    "JS": ("fgan_js", 0.5),
    "W₁": ("wgan_gp", 1.0),
}
"""The loss whose critic estimates it, and by what its value is multiplied: fgan_js bounds twice JS."""

Curve = Sequence[tuple[float, float]]
"""(θ, value), by θ."""


def curves(runs: Sequence[SavedRun], figure: str) -> dict[str, Curve]:
    """A figure of a sweep's completed runs against θ, by loss."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        typed = dict(override.split("=", 1) for override in run.overrides)
        value = run.outcome.get("final", {}).get(f"metric/{figure}")
        if value is not None and "loss" in typed and "model.generator.theta" in typed:
            found[typed["loss"]].append((float(typed["model.generator.theta"]), value))
    return {loss: sorted(points) for loss, points in found.items()}


def draw_divergences(path: Path, values: Mapping[str, Curve], pushes: Mapping[str, Curve]) -> None:
    """A PNG: each divergence against θ, computed and analytic, and beside them what each loss does to θ.

    Args:
        path: of the PNG.
        values: what each loss's critic estimates.
        pushes: minus the derivative of the generator's loss.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 6), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    for number, name in enumerate(ANALYTIC):
        axes = figure.add_subplot(grid[number // 2, number % 2])
        loss, scale = ESTIMATED_BY[name]
        draw_divergence(axes, name, [(theta, scale * value) for theta, value in values.get(loss, [])])
    axes = figure.add_subplot(grid[:, 2:])
    draw_pushes(axes, pushes)
    save_figure(path, figure)


def draw_divergence(axes: Any, name: str, computed: Curve) -> None:
    """One divergence: the analytic value as a line, broken where it jumps, and the computed ones as points."""
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


def draw_pushes(axes: Any, pushes: Mapping[str, Curve]) -> None:
    """Where each game moves θ: towards the data, at 0, where the push has the sign of −θ."""
    for loss, points in pushes.items():
        axes.plot([theta for theta, _ in points], [push for _, push in points], "o-", markersize=4, label=loss)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes.set_yscale("symlog", linthresh=1e-2)
    axes.set(title="the push on θ, −∂(generator's loss)/∂θ", xlabel="θ")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)


class SweepDivergences(Callback):
    """At the end of a sweep over losses and θ, `divergences.png` in its directory."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Read the runs back; draw."""
        directory = sweep_directory(config)
        runs = runs_in(directory)
        values, pushes = curves(runs, "critic_value"), curves(runs, "push")
        if values:
            path = directory / "divergences.png"
            draw_divergences(path, values, pushes)
            print(f"divergences, computed and analytic: {path}")
