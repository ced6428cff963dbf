"""Mutual information between codes and samples during training, for the runs of a sweep.

L_I of InfoGAN rises to H(c). L_I of a GAN, measured by a Q whose gradients do not reach the generator, stays low (Chen
et al. 2016, arXiv:1606.03657, Fig. 1).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from gan_runner.config.instantiate import build, locate
from gan_runner.models.codes import Code
from gan_runner.plots.scatter import save_figure
from gan_runner.runs.saved import SavedRun, runs_in
from gan_runner.runs.sweep import SweepCallback, distinguishing_words

KEY = "metric/mutual_information_"
"""Prefix of the logged values, in nats."""

Curve = Sequence[tuple[int, float]]
"""(step, L_I), ordered by step."""


def curves(run: SavedRun) -> dict[str, Curve]:
    """Return the logged L_I of a run against the step, by code."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for line in run.lines:
        for key, value in line.items():
            if key.startswith(KEY) and value is not None:
                found[key.removeprefix(KEY)][line["step"]] = value
    return {code: sorted(points.items()) for code, points in found.items()}


def codes_of(run: SavedRun) -> dict[str, Code]:
    """Return the codes of a run by name."""
    nodes = run.config.game.codes.items()
    for name, node in nodes:
        locate(node._target_, run.config.trusted, f"game.codes.{name!s}")
    return {str(name): build(f"game.codes.{name!s}", node) for name, node in nodes}


def draw_information(path: Path, runs: Mapping[str, Mapping[str, Curve]], codes: Mapping[str, Code]) -> None:
    """Write a PNG with one panel per code: L_I of all runs during training, and its maximum.

    Args:
        path: path of the PNG.
        runs: curves by name of the run and of the code.
        codes: codes by name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(codes), 3.6), layout="constrained")
    for axes, (name, code) in zip(figure.subplots(1, len(codes), squeeze=False)[0], codes.items()):
        for run, found in runs.items():
            curve = found.get(name, [])
            axes.plot([step for step, _ in curve], [value for _, value in curve], label=run)
        if math.isfinite(code.max_information):
            bound = "H(c)" if code.max_information == code.entropy else "maximum"
            axes.axhline(
                code.max_information,
                color="black",
                linestyle="--",
                linewidth=0.8,
                label=f"{bound} = {code.max_information:.2f}",
            )
        axes.set(title=f"L_I of {name}", xlabel="step", ylabel="nats")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(path, figure)


class SweepInformation(SweepCallback):
    """Writes `mutual_information.png` at the end of a sweep, for all runs that measured it."""

    def conclude(self, directory: Path) -> None:
        """Read the runs of the sweep and draw the picture."""
        runs = runs_in(directory)
        found: dict[str, dict[str, Curve]] = {}
        codes: dict[str, Code] = {}
        for name, run in zip(distinguishing_words([run.overrides for run in runs]), runs):
            if measured := curves(run):
                found[name.replace("game=", "").replace("_", " ") or run.path.name] = measured
                codes = codes_of(run) | codes
        if found:
            path = directory / "mutual_information.png"
            draw_information(path, found, codes)
            print(f"mutual information between codes and samples: {path}")
