"""Pictures of samples: a grid of images, or a scatter plot of points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_runner.plots.grids import add_captions, image_grid, save_image
from gan_runner.plots.scatter import save_figure, scatter
from gan_runner.plots.surfaces import Field, Surface


def draw(
    path: Path,
    samples: Tensor,
    density: Any = None,
    surface: Surface | None = None,
    field: Field | None = None,
    step: int | None = None,
    columns: int | None = None,
    captions: Sequence[str] = (),
) -> None:
    """Write a PNG of samples (n, *shape): a grid of images, or a scatter plot of points.

    Args:
        path: path of the PNG.
        samples: (n, c, h, w) in [−1, 1], or (n, dim).
        density: the true density with `log_prob` and `sample`, if it is known.
        surface: the critic's surface, drawn in a second panel.
        field: gradients of samples, drawn in another panel in two dimensions.
        step: training step for the title of a scatter plot.
        columns: columns of a grid; None for a square grid.
        captions: one caption per row of a grid; for points, the conditions, each of equally many points in order.
    """
    if samples.dim() == 4:
        grid = image_grid(samples, columns)
        save_image(path, add_captions(grid, captions) if captions else grid)
    else:
        save_figure(path, scatter(samples.cpu(), density, surface, field, step, captions))
