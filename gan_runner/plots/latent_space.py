"""Pictures of a latent space: codes of data compared with the prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_runner.datasets.labels import Attributes, Classes, Labels
from gan_runner.plots.scatter import save_figure

MAX_NAMES = 20
"""Maximal number of classes with names in the legend."""

MAX_LINES = 64
"""Maximal number of coordinates with their own line."""


def principal_axes(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first two principal axes of codes (n, d) (Pearson 1901; Hotelling 1933).

    Returns:
        The mean (d,); the axes (d, 2), whose largest entries are positive; the fraction of the variance along each
        (2,). For d = 1, the second axis is zero.
    """
    mean = codes.mean(0)
    _, singular, directions = torch.linalg.svd(codes - mean, full_matrices=False)
    axes = directions[:2].T
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    shares = singular.square() / singular.square().sum().clamp(min=torch.finfo(codes.dtype).tiny)
    missing = 2 - axes.shape[1]
    pad = torch.nn.functional.pad
    return mean, pad(axes, (0, missing)), pad(shares[:2], (0, missing))


def quantiles(codes: Tensor, prior: Tensor, steps: int = 199) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values of a quantile–quantile plot (Wilk & Gnanadesikan 1968).

    Args:
        codes: codes (n, d).
        prior: draws (m, d) of the prior, whose coordinates are identically distributed.
        steps: number of quantiles.

    Returns:
        Quantiles of the coordinates of the prior (steps,), of all coordinates of the codes (steps,), and of a few
        single coordinates (steps, k).
    """
    share = (np.arange(steps) + 0.5) / steps
    some = torch.linspace(0, codes.shape[1] - 1, min(codes.shape[1], MAX_LINES)).long()
    return (
        np.quantile(prior.numpy(), share),
        np.quantile(codes.numpy(), share),
        np.quantile(codes[:, some].numpy(), share, axis=0),
    )


def groups_of(labels: Labels | None, label: Tensor | None) -> tuple[Tensor, tuple[str, ...]] | None:
    """Return the class index of each code (n,) and the names of the classes, for colouring.

    For attributes, the first group of exclusive attributes is used. None if there are neither classes nor groups.
    """
    if labels is None or label is None:
        return None
    if isinstance(labels, Classes):
        return label.cpu(), labels.names
    if isinstance(labels, Attributes) and labels.groups:
        group = labels.groups[0]
        return label.cpu()[:, [labels.names.index(name) for name in group]].argmax(1), group
    return None


def draw_latent_space(
    path: Path, codes: Tensor, prior: Tensor, groups: tuple[Tensor, tuple[str, ...]] | None, title: str
) -> None:
    """Write a PNG of codes and draws of the prior, along the principal axes of the codes and as quantiles.

    Args:
        path: path of the PNG.
        codes: codes (n, d).
        prior: draws (m, d) of the prior.
        groups: class index of each code (n,) and names of the classes; None for one colour.
        title: title of the first panel.
    """
    from matplotlib.figure import Figure

    codes, prior = codes.double().cpu(), prior.double().cpu()
    figure = Figure(figsize=(12, 6), layout="constrained")
    plane, lines = figure.subplots(1, 2)
    draw_plane(plane, codes, prior, groups)
    plane.set_title(title)
    draw_quantiles(lines, codes, prior)
    save_figure(path, figure)


def draw_plane(panel: Any, codes: Tensor, prior: Tensor, groups: tuple[Tensor, tuple[str, ...]] | None) -> None:
    """Draw codes over draws of the prior, in the plane of the principal axes of the codes."""
    from matplotlib import colormaps

    mean, axes, shares = principal_axes(codes)
    flat, expected = (codes - mean) @ axes, (prior - mean) @ axes
    panel.scatter(*expected.T, s=12, marker="+", linewidths=0.5, color="0.7", label="prior", zorder=1)
    if groups is None:
        panel.scatter(*flat.T, s=6, color="tab:blue", label="codes of data", zorder=2)
    else:
        number, names = groups
        colours = colormaps["tab10" if len(names) <= 10 else "tab20" if len(names) <= MAX_NAMES else "nipy_spectral"]
        for place, name in enumerate(names):
            chosen = flat[number == place]
            colour = colours(place if len(names) <= MAX_NAMES else place / len(names))
            label = name if len(names) <= MAX_NAMES else None if place else f"{len(names):,} classes, by colour"
            panel.scatter(*chosen.T, s=6, color=[colour], label=label, zorder=2)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=2)
    panel.set_xlabel(f"first principal axis of the codes ({shares[0]:.0%} of their variance)")
    panel.set_ylabel(f"second ({shares[1]:.0%})")
    panel.set_aspect("equal", adjustable="datalim")


def draw_quantiles(panel: Any, codes: Tensor, prior: Tensor) -> None:
    """Draw a quantile–quantile plot; codes that follow the prior are on the diagonal."""
    expected, together, each = quantiles(codes, prior)
    panel.plot(expected, each, color="tab:orange", linewidth=0.5, alpha=0.5)
    panel.plot([], [], color="tab:orange", linewidth=0.5, label="a coordinate")
    panel.plot(expected, together, color="tab:blue", linewidth=2, label="all coordinates")
    panel.axline((0, 0), slope=1, color="black", linestyle="--", linewidth=1, label="as the prior")
    panel.set_title("quantiles of the codes' coordinates")
    panel.set_xlabel("quantiles of the prior")
    panel.legend(loc="upper left")
