"""Pictures of samples: a grid of images, or points over the density that they should have."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_runner.files import write_atomically


@dataclass(frozen=True)
class Surface:
    """A scalar at every point, as a critic sees it.

    Attributes:
        title: what it is.
        values: points (n, dim) → (n,).
        centred: whether its zero means something, and so is drawn white.
    """

    title: str
    values: Callable[[Tensor], Tensor]
    centred: bool = False


def draw(path: Path, samples: Tensor, density: Any = None, surface: Surface | None = None) -> None:
    """Write a PNG of samples (n, *shape): images as a grid, points as a scatter.

    Args:
        path: of the PNG.
        samples: (n, c, h, w) in [−1, 1], or (n, dim).
        density: has `log_prob` and `sample`, if the true density is known.
        surface: what the critic makes of points, to be shown beside them.
    """
    if samples.dim() == 4:
        save_image(path, image_grid(samples))
    else:
        save_figure(path, scatter(samples.cpu(), density, surface))


def to_uint8(images: Tensor) -> Tensor:
    """Images in [−1, 1] as uint8."""
    return images.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def image_grid(images: Tensor, columns: int | None = None) -> np.ndarray:
    """Images (n, c, h, w) in [−1, 1], side by side: (height, width, 3) uint8. Tiny ones are magnified."""
    columns = columns or int(np.ceil(len(images) ** 0.5))
    zoom = max(1, 64 // images.shape[-1])
    tiles = to_uint8(images).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    return side_by_side(tiles, columns, gap=2 if len(tiles) > 1 else 0).expand(3, -1, -1).permute(1, 2, 0).numpy()


def side_by_side(tiles: Tensor, columns: int, gap: int) -> Tensor:
    """uint8 (n, c, h, w) in rows of so many: (c, height, width), white around them and where there is none.

    This is torchvision's `make_grid` to the bit; importing torchvision takes longer than torch.
    """
    n, _, height, width = tiles.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    tiles = torch.nn.functional.pad(tiles, (gap, 0, gap, 0), value=255)
    white = tiles.new_full((rows * columns - n, *tiles.shape[1:]), 255)
    rowed = torch.cat([tiles, white]).unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)
    grid = rowed.reshape(tiles.shape[1], rows * (height + gap), columns * (width + gap))
    return torch.nn.functional.pad(grid, (0, gap, 0, gap), value=255)


def save_image(path: Path, pixels: np.ndarray) -> None:
    """A PNG of (h, w, 3) or (h, w) uint8."""
    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format="PNG"))


def save_figure(path: Path, figure: Any) -> None:
    """A PNG of a matplotlib figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def scatter(samples: Tensor, density: Any, surface: Surface | None) -> Any:
    """Samples over the true density on the left, over the critic's surface on the right, as far as they are known."""
    from matplotlib.figure import Figure

    panels = 2 if surface is not None and samples.shape[1] <= 2 else 1
    figure = Figure(figsize=(5 * panels, 5), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if samples.shape[1] == 1:
        draw_line(axes, samples, density, surface)
    else:
        draw_plane(axes, samples, density, surface)
    return figure


def draw_line(axes: Any, samples: Tensor, density: Any, surface: Surface | None) -> None:
    """One dimension: a histogram under the true density, and the critic's curve."""
    low, high = window(samples, density)
    x = torch.linspace(low, high, 400).unsqueeze(1)
    axes[0].hist(samples[:, 0].numpy(), bins=80, range=(low, high), density=True, color="tab:orange", label="samples")
    if density is not None:
        axes[0].plot(x[:, 0], density.log_prob(x).exp(), color="tab:blue", label="true density")
    axes[0].legend(loc="upper right")
    if len(axes) > 1 and surface is not None:
        axes[1].plot(x[:, 0], surface.values(x).cpu())
        axes[1].set_title(surface.title)


def draw_plane(axes: Any, samples: Tensor, density: Any, surface: Surface | None) -> None:
    """Two dimensions (the first two of more): points over surfaces."""
    low, high = window(samples, density)
    flat = samples.shape[1] == 2
    axis = torch.linspace(low, high, 200)
    points = torch.cartesian_prod(axis, axis)
    if density is not None and flat:
        log_density = density.log_prob(points).clamp(min=-30).view(200, 200).T  # rows are y
        axes[0].contourf(axis, axis, log_density, levels=20, cmap="Blues")
    elif density is not None:
        real = density.sample(len(samples), torch.Generator().manual_seed(0))[0]
        axes[0].scatter(real[:, 0], real[:, 1], s=4, color="tab:blue", alpha=0.4, label="data")
    axes[0].set_title("samples over the true density" if density is not None else "samples")
    if len(axes) > 1 and surface is not None:
        values = surface.values(points).cpu()
        finite = values[values.isfinite()] if values.isfinite().any() else torch.zeros(1)
        heights = values.nan_to_num(0.0).clamp(finite.min(), finite.max()).view(200, 200).T
        limit = heights.abs().max().item() if surface.centred else None
        limits = {"vmin": -limit, "vmax": limit} if limit else {}
        drawn = axes[1].contourf(axis, axis, heights, levels=30, cmap="RdBu", **limits)
        axes[1].figure.colorbar(drawn, ax=axes[1], shrink=0.8)
        axes[1].set_title(f"samples over {surface.title}")
    for panel in axes:
        panel.scatter(samples[:, 0], samples[:, 1], s=5, color="tab:orange", edgecolors="black", linewidths=0.2)
        panel.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def window(samples: Tensor, density: Any) -> tuple[float, float]:
    """Limits that show the data, or without a density the samples, with a margin."""
    shown = samples if density is None else density.sample(1000, torch.Generator().manual_seed(0))[0]
    reach = max(shown[:, :2].abs().max().item(), 1e-3) * 1.3
    return -reach, reach
