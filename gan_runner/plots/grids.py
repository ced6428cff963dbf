"""Image grids with captions and headings."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_runner.datasets.images import as_bytes
from gan_runner.plots.animation import evenly
from gan_runner.plots.scatter import draw_lines, save_figure
from gan_runner.tools.files import write_atomically

APART = 12
"""White pixels between images and the images that they are compared with."""


def nearest_grid(samples: Tensor, neighbours: Tensor) -> np.ndarray:
    """Return a picture (height, width, 3): a column of samples (n, c, h, w) beside neighbours (n, k, c, h, w)."""
    return flanked(neighbours, samples)


def flanked(rows: Tensor, *columns: Tensor, headings: Sequence[str] = ()) -> np.ndarray:
    """Return a picture (height, width, 3): rows of images (n, k, c, h, w) between one or two columns (n, c, h, w).

    `headings` are the titles of the k columns of the rows.
    """
    shown = [image_grid(column, columns=1, gap=2) for column in columns]
    shown.insert(1, image_grid(rows.flatten(0, 1), rows.shape[1], gap=2))
    if headings:
        shown = [add_headings(grid, headings if place == 1 else [""]) for place, grid in enumerate(shown)]
    between = np.full((len(shown[0]), APART, 3), 255, np.uint8)
    return np.concatenate([part for grid in shown for part in (between, grid)][1:], 1)


def pairs_grid(above: Tensor, below: Tensor, columns: int) -> np.ndarray:
    """Return a picture (height, width, 3): rows of images (n, c, h, w), each above the row of their counterparts."""
    columns = min(columns, len(above))
    pairs = []
    for some, others in zip(above.split(columns), below.split(columns)):
        white = some.new_ones(columns - len(some), *some.shape[1:])
        pairs.append(image_grid(torch.cat([some, white, others, white]), columns, gap=2))
    between = np.full((APART, pairs[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for grid in pairs for part in (between, grid)][1:])


def draw_pairs(path: Path, data: Tensor, generated: Tensor, columns: int, name: str) -> None:
    """Write a PNG of pairs of data and generated samples (n, *shape): a grid of images, or points joined by lines."""
    if data.dim() == 4:
        save_image(path, pairs_grid(data, generated, columns))
    else:
        draw_lines(path, torch.stack([data, generated], 1), ("data", name))


def draw_paths(path: Path, steps: Tensor, first: Tensor, last: Tensor) -> None:
    """Write a PNG of paths (n, k, *shape) from `first` to `last` (n, *shape): rows of images, or points on lines."""
    if first.dim() == 4:
        save_image(path, flanked(steps, first, last))
    else:
        draw_lines(path, torch.cat([first.unsqueeze(1), steps, last.unsqueeze(1)], 1), ("from", "on the way", "to"))


def draw_traversal(path: Path, samples: Tensor, values: Sequence[str]) -> None:
    """Write a PNG of a latent traversal: a grid of images, or points coloured by column.

    Args:
        path: path of the PNG.
        samples: (rows · columns, c, h, w) in [−1, 1] or (rows · columns, dim), row by row.
        values: value of the code in each column.
    """
    columns = len(values)
    if samples.dim() == 4:
        save_image(path, add_headings(image_grid(samples, columns), values))
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    column = torch.arange(columns).repeat(len(samples) // columns)
    points = samples.cpu()
    across, up = points[:, 0], points[:, 1] if points.shape[1] > 1 else torch.arange(len(points)) // columns
    drawn = axes.scatter(across, up, c=column, s=8, cmap="viridis")
    ticks = evenly(range(columns), 10)
    figure.colorbar(drawn, label="the code's value").set_ticks(ticks, labels=[values[tick] for tick in ticks])
    axes.set_aspect("equal" if points.shape[1] > 1 else "auto")
    save_figure(path, figure)


def to_uint8(images: Tensor) -> Tensor:
    """Convert images in [−1, 1] to uint8 on the CPU."""
    return as_bytes(images.detach().float().cpu())


def image_grid(images: Tensor, columns: int | None = None, gap: int | None = None) -> np.ndarray:
    """Return a grid (height, width, 3) uint8 of images (n, c, h, w) in [−1, 1]; small images are enlarged smoothly.

    The default gap is two pixels, and zero for a single image.
    """
    columns = columns or int(np.ceil(len(images) ** 0.5))
    gap = (2 if len(images) > 1 else 0) if gap is None else gap
    return side_by_side(to_uint8(enlarged(images)), columns, gap).expand(3, -1, -1).permute(1, 2, 0).numpy()


def enlarged(images: Tensor, side: int = 64) -> Tensor:
    """Enlarge images (n, c, h, w) by the largest whole factor up to a width of `side`, by bicubic interpolation."""
    factor = side // images.shape[-1]
    if factor < 2:
        return images
    images = images.detach().float().cpu()
    return torch.nn.functional.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)


SHORT = 16
"""Maximal length of captions to the left of their rows; longer captions are below."""

BELOW_CAPTION = 20
"""Pixels between a caption and the next row, more than to its own row."""


def add_captions(grid: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Add one caption per row to a grid (height, width, 3): to the left, or below if a caption is long."""
    font: Any = ImageFont.load_default(14)
    rows = np.array_split(grid, len(captions))
    if max(map(len, captions)) <= SHORT:
        width = 8 + max(round(font.getlength(caption)) for caption in captions)
        return np.concatenate(
            [
                np.concatenate([render_text([caption], font, width, len(row)), row], 1)
                for caption, row in zip(captions, rows)
            ]
        )
    parts = []
    for caption, row in zip(captions, rows):
        lines = textwrap.wrap(caption, max(8, int(row.shape[1] / font.getlength("n"))))
        parts += [row, render_text(lines, font, row.shape[1], 18 * len(lines) + 2)]
        parts.append(np.full((BELOW_CAPTION, row.shape[1], 3), 255, np.uint8))
    return np.concatenate(parts)


def add_headings(grid: np.ndarray, headings: Sequence[str], height: int = 18) -> np.ndarray:
    """Add one heading per column above a grid (height, width, 3)."""
    font: Any = ImageFont.load_default(12)
    width = grid.shape[1]
    head = Image.new("RGB", (width, height), "white")
    for column, heading in enumerate(headings):
        middle = (column + 0.5) * width / len(headings)
        ImageDraw.Draw(head).text((middle, height / 2), heading, "black", font, anchor="mm")
    return np.concatenate([np.asarray(head), grid])


def render_text(lines: Sequence[str], font: Any, width: int, height: int) -> np.ndarray:
    """Return a white picture (height, width, 3) with left-aligned, vertically centred lines of text."""
    picture = Image.new("RGB", (width, height), "white")
    text = "\n".join(lines)
    ImageDraw.Draw(picture).multiline_text((4, height / 2), text, "black", font, anchor="lm", spacing=4)
    return np.asarray(picture)


def side_by_side(tiles: Tensor, columns: int, gap: int) -> Tensor:
    """Arrange uint8 images (n, c, h, w) in a grid (c, height, width) with white gaps and empty cells.

    The result equals torchvision's `make_grid`; importing torchvision would take longer than torch.
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
    """Write a PNG of uint8 pixels (h, w, 3) or (h, w)."""
    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format="PNG"))
