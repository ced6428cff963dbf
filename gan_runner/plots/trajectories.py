"""Trajectories of the players of a bilinear game: the CSV file and picture of a run, and the picture of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_runner.plots.scatter import save_figure
from gan_runner.runs.saved import runs_in
from gan_runner.runs.sweep import SweepCallback, distinguishing_words
from gan_runner.tools.files import write_text

NAME = "trajectory.csv"
"""File in the directory of a run: one line per step with the step and (x, y) relative to the equilibrium."""

Path2D = np.ndarray
"""The rows of such a file: (steps, 1 + 2 · dim)."""


def line(row: Sequence[float]) -> str:
    """Format a step and its coordinates at full precision."""
    return ",".join([str(int(row[0])), *(repr(float(value)) for value in row[1:])]) + "\n"


def write_trajectory(path: Path, rows: Sequence[Sequence[float]]) -> None:
    """Write a header and rows (1 + 2 · dim each) atomically."""
    dim = (len(rows[0]) - 1) // 2
    names = [f"{player}{i}" if dim > 1 else player for player in "xy" for i in range(dim)]
    write_text(path, ",".join(["step", *names]) + "\n" + "".join(map(line, rows)))


def read_trajectory(path: Path) -> list[list[float]]:
    """Read the rows; none if there is no file. An incomplete last line of a killed run is skipped."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    return [[float(value) for value in text.split(",")] for text in lines if text.endswith("\n")]


def draw_trajectories(path: Path, trajectories: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Write a PNG of trajectories by name: each in the plane of the first coordinates of x and y, and the distances of
    all to the equilibrium against the step.
    """
    from matplotlib.figure import Figure

    arrays = {name: np.array(rows) for name, rows in trajectories.items()}
    columns = int(np.ceil(len(arrays) ** 0.5))
    rows = -(-len(arrays) // columns)
    figure = Figure(figsize=(2.6 * columns + 5.2, max(2.75 * rows, 3.6)), layout="constrained")
    grid = figure.add_gridspec(rows, 2, width_ratios=[2.6 * columns, 5.2])
    planes = grid[:, 0].subgridspec(rows, columns)
    distances = figure.add_subplot(grid[:, 1])
    start = max(float(np.abs(a[0, 1:]).max()) for a in arrays.values())
    for number, (name, a) in enumerate(arrays.items()):
        colour = f"C{number}"
        plane = figure.add_subplot(planes[number // columns, number % columns])
        draw_plane(plane, a, 2 * max(start, 1e-3), colour)
        plane.set_title(name, fontsize=10, color=colour, parse_math=False)
        away = np.linalg.norm(a[:, 1:], axis=1)
        distances.semilogy(a[:, 0], away, color=colour, linewidth=1.3, label=f"{name} → {away[-1]:.1e}")
    distances.set(xlabel="step", title="distance to the equilibrium")
    distances.grid(alpha=0.3)
    distances.legend(loc="lower left", fontsize=9)
    save_figure(path, figure)


def draw_plane(plane: Any, trajectory: Path2D, reach: float, colour: str) -> None:
    """Draw a trajectory over contour lines of x · y; the start is a dot, the equilibrium a cross."""
    dim = (trajectory.shape[1] - 1) // 2
    x, y = trajectory[:, 1], trajectory[:, 1 + dim]
    axis = np.linspace(-reach, reach, 101)
    plane.contour(axis, axis, np.outer(axis, axis), levels=11, colors="0.85", linewidths=0.6, linestyles="solid")
    plane.plot(x, y, color=colour, linewidth=0.9)
    plane.plot(x[0], y[0], "o", color=colour, markeredgecolor="black", markersize=5)
    plane.plot(0, 0, "+", color="black", markersize=9)
    plane.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[], xlabel="x", ylabel="y")


class SweepTrajectories(SweepCallback):
    """Writes `trajectories.png` at the end of a sweep, with all runs that recorded a trajectory."""

    def conclude(self, directory: Path) -> None:
        """Read the runs of the sweep and draw the picture."""
        trajectories = read_sweep(directory)
        if trajectories:
            path = directory / "trajectories.png"
            draw_trajectories(path, trajectories)
            print(f"all trajectories: {path}")


def read_sweep(directory: Path) -> dict[str, list[list[float]]]:
    """Return the trajectories of the runs of a sweep in order, by the overrides that differ."""
    runs = [run for run in runs_in(directory) if (run.path / NAME).exists()]
    names = [
        name.replace("dynamics=", "").replace("_", " ")
        for name in distinguishing_words([run.overrides for run in runs])
    ]
    return {name or run.path.name: read_trajectory(run.path / NAME) for name, run in zip(names, runs)}
