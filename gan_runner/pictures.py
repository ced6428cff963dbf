"""Pictures of samples: a grid of images, or points over the density that they should have; and how they changed."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_runner.datasets.images import as_bytes
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


@dataclass(frozen=True)
class Field:
    """A direction at every point, as the generator is pushed.

    Attributes:
        title: what it is.
        arrows: points (n, dim) → (n, dim).
    """

    title: str
    arrows: Callable[[Tensor], Tensor]


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


APART = 12
"""White pixels between what is shown and what it is compared with."""


def nearest_grid(samples: Tensor, neighbours: Tensor) -> np.ndarray:
    """Samples (n, c, h, w) in a column, and beside each in a row its neighbours (n, k, c, h, w): (height, width, 3)."""
    return flanked(neighbours, samples)


def flanked(rows: Tensor, *columns: Tensor, headings: Sequence[str] = ()) -> np.ndarray:
    """Rows of images (n, k, c, h, w) behind a column (n, c, h, w), and perhaps before another: (height, width, 3).

    There may be k headings.
    """
    shown = [image_grid(column, columns=1, gap=2) for column in columns]
    shown.insert(1, image_grid(rows.flatten(0, 1), rows.shape[1], gap=2))
    if headings:
        shown = [headed(grid, headings if place == 1 else [""]) for place, grid in enumerate(shown)]
    between = np.full((len(shown[0]), APART, 3), 255, np.uint8)
    return np.concatenate([part for grid in shown for part in (between, grid)][1:], 1)


def pairs_grid(above: Tensor, below: Tensor, columns: int) -> np.ndarray:
    """Rows of so many images (n, c, h, w), each with a row of their counterparts under it: (height, width, 3)."""
    columns = min(columns, len(above))
    pairs = []
    for some, others in zip(above.split(columns), below.split(columns)):
        white = some.new_ones(columns - len(some), *some.shape[1:])
        pairs.append(image_grid(torch.cat([some, white, others, white]), columns, gap=2))
    between = np.full((APART, pairs[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for grid in pairs for part in (between, grid)][1:])


def draw_pairs(path: Path, data: Tensor, made: Tensor, columns: int, said: str) -> None:
    """A PNG of data (n, *shape) and what was made of it (n, *shape): images by `pairs_grid`, points joined by lines."""
    if data.dim() == 4:
        save_image(path, pairs_grid(data, made, columns))
    else:
        draw_lines(path, torch.stack([data, made], 1), ("data", said))


def draw_paths(path: Path, steps: Tensor, first: Tensor, last: Tensor) -> None:
    """A PNG of paths (n, k, *shape) from each of the first (n, *shape) to its last: images in rows, points on lines."""
    if first.dim() == 4:
        save_image(path, flanked(steps, first, last))
    else:
        draw_lines(path, torch.cat([first.unsqueeze(1), steps, last.unsqueeze(1)], 1), ("from", "on the way", "to"))


def draw_lines(path: Path, points: Tensor, said: Sequence[str]) -> None:
    """A PNG of rows of points (n, k, dim), each joined by a line; the first, the last and the others have names."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    flat = points.cpu()[:, :, :2]
    if flat.shape[2] == 1:  # a line each, one above the other
        flat = torch.cat([flat, torch.arange(len(flat)).view(-1, 1, 1).expand(flat.shape)], 2)
    across, up = flat.unbind(2)
    axes.plot(across.T, up.T, color="tab:grey", linewidth=0.5, zorder=1)
    if points.shape[1] > 2:
        axes.scatter(across[:, 1:-1], up[:, 1:-1], s=8, color="tab:grey", label=said[1], zorder=2)
    for place, name, colour in ((0, said[0], "tab:blue"), (-1, said[-1], "tab:orange")):
        axes.scatter(across[:, place], up[:, place], s=10, color=colour, label=name, zorder=3)
    axes.legend(loc="upper right")
    axes.set_aspect("equal" if points.shape[2] > 1 else "auto")
    save_figure(path, figure)


def draw_traversal(path: Path, samples: Tensor, values: Sequence[str]) -> None:
    """A PNG of samples (rows · columns, *shape), row by row: images as a grid, points by the colour of their column.

    Args:
        path: of the PNG.
        samples: (rows · columns, c, h, w) in [−1, 1], or (rows · columns, dim).
        values: of the code, one a column.
    """
    columns = len(values)
    if samples.dim() == 4:
        save_image(path, headed(image_grid(samples, columns), values))
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
    """Images in [−1, 1] as uint8, in memory."""
    return as_bytes(images.detach().float().cpu())


def image_grid(images: Tensor, columns: int | None = None, gap: int | None = None) -> np.ndarray:
    """Images (n, c, h, w) in [−1, 1], side by side: (height, width, 3) uint8. Tiny ones are magnified.

    Two pixels are between them, and none around a single one, unless a `gap` is given.
    """
    columns = columns or int(np.ceil(len(images) ** 0.5))
    zoom = max(1, 64 // images.shape[-1])
    tiles = to_uint8(images).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    gap = (2 if len(tiles) > 1 else 0) if gap is None else gap
    return side_by_side(tiles, columns, gap).expand(3, -1, -1).permute(1, 2, 0).numpy()


SHORT = 16
"""Letters, at most, of captions that stand to the left of their rows; longer ones stand under them."""


BELOW_CAPTION = 20
"""Pixels between a caption and the row below it: many more than to its own."""


def beside(grid: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """A grid (height, width, 3) of as many rows as captions, with these to their left, or under them if one is long."""
    font: Any = ImageFont.load_default(14)
    rows = np.array_split(grid, len(captions))
    if max(map(len, captions)) <= SHORT:
        width = 8 + max(round(font.getlength(caption)) for caption in captions)
        return np.concatenate(
            [
                np.concatenate([written([caption], font, width, len(row)), row], 1)
                for caption, row in zip(captions, rows)
            ]
        )
    parts = []
    for caption, row in zip(captions, rows):
        lines = textwrap.wrap(caption, max(8, int(row.shape[1] / font.getlength("n"))))
        parts += [row, written(lines, font, row.shape[1], 18 * len(lines) + 2)]
        parts.append(np.full((BELOW_CAPTION, row.shape[1], 3), 255, np.uint8))
    return np.concatenate(parts)


def headed(grid: np.ndarray, headings: Sequence[str], height: int = 18) -> np.ndarray:
    """A grid (height, width, 3) of as many columns as headings, with these above them."""
    font: Any = ImageFont.load_default(12)
    width = grid.shape[1]
    head = Image.new("RGB", (width, height), "white")
    for column, heading in enumerate(headings):
        middle = (column + 0.5) * width / len(headings)
        ImageDraw.Draw(head).text((middle, height / 2), heading, "black", font, anchor="mm")
    return np.concatenate([np.asarray(head), grid])


def written(lines: Sequence[str], font: Any, width: int, height: int) -> np.ndarray:
    """Lines in the middle of a white picture, from its left: (height, width, 3)."""
    picture = Image.new("RGB", (width, height), "white")
    text = "\n".join(lines)
    ImageDraw.Draw(picture).multiline_text((4, height / 2), text, "black", font, anchor="lm", spacing=4)
    return np.asarray(picture)


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


def scatter(
    samples: Tensor,
    density: Any = None,
    surface: Surface | None = None,
    field: Field | None = None,
    step: int | None = None,
    captions: Sequence[str] = (),
) -> Any:
    """Samples over the true density, over the critic's surface and among arrows, as far as these are known.

    They have the colour of what they were made for, where that differs; up to ten such are named. Every
    panel has a square of five inches, in which nothing moves from one picture to the next.
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
"""So many groups of points are named, in colours that are told apart; of more there are only colours."""


@dataclass(frozen=True)
class Group:
    """Points of one colour.

    Attributes:
        name: what they were made for; None where that is nothing, or there are too many such.
        colour: for matplotlib.
        points: (k, dim).
    """

    name: str | None
    colour: Any
    points: Tensor


def grouped(samples: Tensor, captions: Sequence[str]) -> list[Group]:
    """Samples (n, dim) by what they were made for: a caption is of one of them, or of n / len(captions) in a row."""
    if not captions:
        return [Group(None, "tab:orange", samples)]
    from matplotlib import colormaps

    names = sorted(set(captions), key=lambda name: (len(name), name))  # 2 before 10
    own = np.repeat([names.index(caption) for caption in captions], len(samples) // len(captions))
    few = len(names) <= NAMED
    if few:
        colours = np.roll(colormaps["tab10"](range(NAMED)), -1, 0)  # orange first, as points have that are of no group
    else:
        colours = colormaps["hsv"](np.linspace(0, 1, len(names), endpoint=False))
    return [
        Group(name if few else None, colours[number], samples[torch.as_tensor(own == number)])
        for number, name in enumerate(names)
    ]


def draw_line(axes: Any, groups: Sequence[Group], density: Any, surface: Surface | None) -> None:
    """One dimension: a histogram under the true density, groups on top of each other, and the critic's curve."""
    low, high = window(torch.cat([group.points for group in groups]), density)
    x = torch.linspace(low, high, 400).unsqueeze(1)
    names = [group.name or "_" * (number > 0) + "samples" for number, group in enumerate(groups)]  # _ hides it
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
    """Two dimensions (the first two of more): points over surfaces and among arrows."""
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
    """Arrows of one length at side² points, above the samples, the darker the stronger; none where there is no push.

    What is weaker than a millionth of the strongest has the colour of a millionth.
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
    """A scale of colours beside a panel, which stays where it is."""
    return panel.figure.colorbar(drawn, cax=panel.inset_axes((1.03, 0.1, 0.04, 0.8)))


def window(samples: Tensor, density: Any) -> tuple[float, float]:
    """Limits that show the data, or without a density the samples, with a margin."""
    shown = samples if density is None else density.sample(1000, torch.Generator().manual_seed(0))[0]
    reach = max(shown[:, :2].abs().max().item(), 1e-3) * 1.3
    return -reach, reach


FRAMES = 100
"""At most so many are in an animation."""

WIDEST = 900
"""Pixels across an animation, at most."""


def animate(path: Path, frames: Sequence[Path], seconds: float = 10.0, last_s: float = 2.0) -> None:
    """Write a looping GIF of pictures, each of the size of the last one, which stays longest.

    One palette, of some of them together, serves all: what does not change is the same in every frame, and is stored
    once. Of many frames some are left out, evenly.

    Args:
        path: of the GIF.
        frames: pictures in order, two at least.
        seconds: how long all but the last take together; each of few frames takes half a second.
        last_s: seconds that the last one stays.
    """
    chosen = evenly(frames, FRAMES)
    with Image.open(chosen[-1]) as final:
        width = min(final.width, WIDEST)
        size = (width, round(final.height * width / final.width))
    palette = shared_palette([read_frame(frame, size) for frame in evenly(chosen, 5)])
    each_ms = min(500, round(1000 * seconds / len(chosen)))
    first, *rest = chosen

    def indexed(frames: Sequence[Path]) -> Iterator[Image.Image]:
        for frame in frames:
            yield read_frame(frame, size).quantize(palette=palette, dither=Image.Dither.NONE)

    def write(file: Any) -> None:
        next(indexed([first])).save(
            file,
            format="GIF",
            save_all=True,
            append_images=indexed(rest),
            duration=[each_ms] * len(rest) + [round(1000 * last_s)],
            loop=0,
            optimize=True,
        )

    write_atomically(path, write)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most n of them, evenly spaced, the first and the last included."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def read_frame(path: Path, size: tuple[int, int]) -> Image.Image:
    """A picture in colours, of this width and height."""
    with Image.open(path) as picture:
        frame = picture.convert("RGB")
    return frame if frame.size == size else frame.resize(size, Image.Resampling.LANCZOS)


def shared_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """The 255 colours, and one free for what does not change, that suit pictures of one size together.

    Colours are chosen to cover those that there are, rare ones too, from every third pixel a side.
    """
    width, height = (max(1, side // 3) for side in pictures[0].size)
    together = Image.new("RGB", (width, height * len(pictures)))
    for number, picture in enumerate(pictures):
        together.paste(picture.resize((width, height), Image.Resampling.NEAREST), (0, number * height))
    return together.quantize(255, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
