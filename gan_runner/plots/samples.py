"""A picture of samples: a grid of images, or a scatter of points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_runner.plots.grids import beside, image_grid, save_image
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
    """Write a PNG of samples (n, *shape): images as a grid, points as a scatter.

    Args:
        path: of the PNG.
        samples: (n, c, h, w) in [−1, 1], or (n, dim).
        density: has `log_prob` and `sample`, if the true density is known.
        surface: what the critic makes of points, to be shown beside them.
        field: where points are pushed, to be shown beside that, in two dimensions.
        step: when, for the title of a scatter; a grid is images alone.
        columns: of a grid; None for a square one.
        captions: a line for each of its rows; of points, what each was made for, or each so many in a row.
    """
    if samples.dim() == 4:
        grid = image_grid(samples, columns)
        save_image(path, beside(grid, captions) if captions else grid)
    else:
        save_figure(path, scatter(samples.cpu(), density, surface, field, step, captions))
