"""Scatter plots of points in one or two dimensions over the true density."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_runner.plots.surfaces import Field, Surface
from gan_runner.tools.files import write_atomically


def draw_lines(path: Path, points: Tensor, names: Sequence[str]) -> None:
    """Write a PNG of rows of points (n, k, dim) joined by lines; `names` are for the first, middle and last points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    flat = points.cpu()[:, :, :2]
    if flat.shape[2] == 1:  # horizontal lines, one above the other
        flat = torch.cat([flat, torch.arange(len(flat)).view(-1, 1, 1).expand(flat.shape)], 2)
    across, up = flat.unbind(2)
    axes.plot(across.T, up.T, color="tab:grey", linewidth=0.5, zorder=1)
    if points.shape[1] > 2:
        axes.scatter(across[:, 1:-1], up[:, 1:-1], s=8, color="tab:grey", label=names[1], zorder=2)
    for place, name, colour in ((0, names[0], "tab:blue"), (-1, names[-1], "tab:orange")):
        axes.scatter(across[:, place], up[:, place], s=10, color=colour, label=name, zorder=3)
    axes.legend(loc="upper right")
    axes.set_aspect("equal" if points.shape[2] > 1 else "auto")
    save_figure(path, figure)


def save_figure(path: Path, figure: Any) -> None:
    """Write a matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def scatter(
    samples: Tensor,
    density: Any = None,
    surface: Surface | None = None,
    field: Field | None = None,
    step: int | None = None,
    captions: Sequence[str] = (),
) -> Any:
    """Draw samples over the true density, over the critic's surface, and with gradient arrows, as far as available.

    Samples are coloured by condition. Every panel is a square of five inches, so that the pictures of a run align.
    """
    from matplotlib.figure import Figure

    dim = samples.shape[1]
    surface, field = surface if dim <= 2 else None, field if dim == 2 else None
    panels = 1 + (surface is not None) + (field is not None)
    figure = Figure(figsize=(5 * panels, 5))
    axes = figure.subplots(1, panels, squeeze=False)[0]
    left, right = 0.55 / (5 * panels), 1 - 0.95 / (5 * panels)
    figure.subplots_adjust(left=left, right=right, bottom=0.07, top=0.93, wspace=1.5 / 3.5)
    groups = grouped(samples, captions)
    if samples.shape[1] == 1:
        draw_line(axes, groups, density, surface)
    else:
        draw_plane(axes, groups, density, surface, field)
    if step is not None:
        axes[0].set_title(f"step {step:,}" + f": {axes[0].get_title()}" * (axes[0].get_title() != ""))
    return figure


NAMED = 10
"""Maximal number of groups with names and distinct colours."""


@dataclass(frozen=True)
class Group:
    """Points with the same condition.

    Attributes:
        name: the condition; None if there is none, or too many.
        colour: matplotlib colour.
        points: points (k, dim).
    """

    name: str | None
    colour: Any
    points: Tensor


def grouped(samples: Tensor, captions: Sequence[str]) -> list[Group]:
    """Group samples (n, dim) by condition; each caption holds for n / len(captions) consecutive samples."""
    if not captions:
        return [Group(None, "tab:orange", samples)]
    from matplotlib import colormaps

    names = sorted(set(captions), key=lambda name: (len(name), name))  # 2 before 10
    own = np.repeat([names.index(caption) for caption in captions], len(samples) // len(captions))
    few = len(names) <= NAMED
    if few:
        colours = np.roll(colormaps["tab10"](range(NAMED)), -1, 0)  # orange first, as without conditions
    else:
        colours = colormaps["hsv"](np.linspace(0, 1, len(names), endpoint=False))
    return [
        Group(name if few else None, colours[number], samples[torch.as_tensor(own == number)])
        for number, name in enumerate(names)
    ]


def draw_line(axes: Any, groups: Sequence[Group], density: Any, surface: Surface | None) -> None:
    """Draw one dimension: a stacked histogram with the true density, and the critic's curve."""
    low, high = window(torch.cat([group.points for group in groups]), density)
    x = torch.linspace(low, high, 400).unsqueeze(1)
    names = [group.name or "_" * (number > 0) + "samples" for number, group in enumerate(groups)]  # _ hides a label
    look: Any = {"color": [group.colour for group in groups], "label": names}
    heights = [group.points[:, 0].numpy() for group in groups]
    axes[0].hist(heights, bins=80, range=(low, high), density=True, stacked=True, **look)
    if density is not None:
        axes[0].plot(x[:, 0], density.log_prob(x).exp(), color="tab:blue", label="true density")
    axes[0].legend(loc="upper right")
    if len(axes) > 1 and surface is not None:
        axes[1].plot(x[:, 0], surface.values(x).cpu())
        axes[1].set_title(surface.title)


def draw_plane(
    axes: Any, groups: Sequence[Group], density: Any, surface: Surface | None = None, field: Field | None = None
) -> None:
    """Draw the first two dimensions: points over surfaces and with arrows."""
    samples = torch.cat([group.points for group in groups])
    low, high = window(samples, density)
    flat = samples.shape[1] == 2
    axis = torch.linspace(low, high, 200)
    points = torch.cartesian_prod(axis, axis)
    if density is not None and flat:
        log_density = density.log_prob(points).clamp(min=-30).view(200, 200).T  # rows are y
        for panel in [axes[0]] if field is None else [axes[0], axes[-1]]:
            panel.contourf(axis, axis, log_density, levels=20, cmap="Blues")
    elif density is not None:
        real = density.sample(len(samples), torch.Generator().manual_seed(0))[0]
        axes[0].scatter(real[:, 0], real[:, 1], s=4, color="tab:blue", alpha=0.4, label="data")
    axes[0].set_title("samples over the true density" if density is not None else "samples")
    if surface is not None:
        values = surface.values(points).cpu()
        finite = values[values.isfinite()] if values.isfinite().any() else torch.zeros(1)
        heights = values.nan_to_num(0.0).clamp(finite.min(), finite.max()).view(200, 200).T
        limit = heights.abs().max().item() if surface.centred else None
        limits = {"vmin": -limit, "vmax": limit} if limit else {}
        drawn = axes[1].contourf(axis, axis, heights, levels=30, cmap="RdBu", **limits)
        add_scale(axes[1], drawn)
        axes[1].set_title(f"samples over {surface.title}")
    if field is not None:
        draw_arrows(axes[-1], field, low, high)
    for panel in axes:
        for group in groups:
            look: Any = {"color": group.colour, "edgecolors": "black", "linewidths": 0.2, "label": group.name}
            panel.scatter(group.points[:, 0], group.points[:, 1], s=5, **look)
        panel.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    if groups[0].name is not None:
        axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", markerscale=2, frameon=False)


def draw_arrows(panel: Any, field: Field, low: float, high: float, side: int = 21) -> None:
    """Draw arrows of equal length at side² points, coloured by the norm of the gradient; zero gradients have none.

    The colour scale ends at a millionth of the largest norm.
    """
    from matplotlib.colors import LogNorm

    panel.set_title(field.title)
    margin = (high - low) / (2 * side)
    axis = torch.linspace(low + margin, high - margin, side)
    points = torch.cartesian_prod(axis, axis)
    arrows = field.arrows(points).cpu()
    strength = arrows.norm(dim=1)
    shown = strength.isfinite() & (strength > 0)
    if not shown.any():
        return
    points, arrows, strength = points[shown], arrows[shown], strength[shown]
    most = strength.max().item()
    least = min(max(strength.min().item(), 1e-6 * most), 0.5 * most)
    unit = arrows / strength.unsqueeze(1)
    look: Any = {"norm": LogNorm(least, most, clip=True), "cmap": "viridis_r", "pivot": "mid", "zorder": 2}
    look |= {"angles": "xy", "scale_units": "xy", "scale": 0.6 / margin}
    drawn = panel.quiver(*points.T, *unit.T, strength, **look)
    ticks = np.geomspace(least, most, 5)
    colours = add_scale(panel, drawn)
    colours.minorticks_off()
    colours.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])


def add_scale(panel: Any, drawn: Any) -> Any:
    """Add a colour bar beside a panel without moving the panel."""
    return panel.figure.colorbar(drawn, cax=panel.inset_axes((1.03, 0.1, 0.04, 0.8)))


def window(samples: Tensor, density: Any) -> tuple[float, float]:
    """Return axis limits that show the data, or without a density the samples, with a margin."""
    shown = samples if density is None else density.sample(1000, torch.Generator().manual_seed(0))[0]
    reach = max(shown[:, :2].abs().max().item(), 1e-3) * 1.3
    return -reach, reach
