"""Adaptive discriminator augmentation: its probability follows how much the discriminator overfits."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from gan_runner.models.sizes import require_images
from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula

Transforms = Literal["blitting", "geometry", "color"]


def matrix(*rows: tuple[Tensor | float, ...]) -> Tensor:
    """One matrix for each image, from entries (n,) or constants: (n, rows, columns)."""
    some = next(entry for row in rows for entry in row if isinstance(entry, Tensor))
    entries = [entry if isinstance(entry, Tensor) else torch.full_like(some, entry) for row in rows for entry in row]
    return torch.stack(entries, 1).unflatten(1, (len(rows), -1))


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product for each image, written out so that reduced-precision matrix products do not shift pixels."""
    return (a.unsqueeze(3) * b.unsqueeze(1)).sum(2)


def scaling(x: Tensor, y: Tensor | float) -> Tensor:
    """Scaling in homogeneous coordinates (x, y, 1): (n, 3, 3)."""
    return matrix((x, 0, 0), (0, y, 0), (0, 0, 1))


def rotation(angle: Tensor) -> Tensor:
    """Rotation by an angle in radians: (n, 3, 3)."""
    return matrix((angle.cos(), -angle.sin(), 0), (angle.sin(), angle.cos(), 0), (0, 0, 1))


def shift(x: Tensor, y: Tensor) -> Tensor:
    """Translation in pixels: (n, 3, 3)."""
    return matrix((1, 0, x), (0, 1, y), (0, 0, 1))


def luma_chroma_scaling(along: Tensor | float, across: Tensor) -> Tensor:
    """Scaling of colours by one factor along the grey axis and another across it: (n, 4, 4)."""
    grey, rest = (along - across) / 3, across
    one = grey + rest
    return matrix((one, grey, grey, 0), (grey, one, grey, 0), (grey, grey, one, 0), (0, 0, 0, 1))


def hue_rotation(angle: Tensor) -> Tensor:
    """Rotation of colours about the grey axis: (n, 4, 4)."""
    cosine, sine = angle.cos(), angle.sin() / math.sqrt(3)
    grey = (1 - cosine) / 3
    one, less, more = grey + cosine, grey - sine, grey + sine
    return matrix((one, less, more, 0), (more, one, less, 0), (less, more, one, 0), (0, 0, 0, 1))


def with_probability(p: Tensor, value: Tensor, neutral: float) -> Tensor:
    """The value (n,) or (k, n) with probability p, drawn once for each image, otherwise the neutral value."""
    luck = per_sample.rand(value.shape[-1], device=value.device, dtype=value.dtype)
    return torch.where(luck < p, value, neutral)


def blitting(x: Tensor, p: Tensor) -> list[Tensor]:
    """Pixel blitting, as maps from output to input: mirroring, quarter turns, shifts by up to 1/8 of the side."""
    n, _, height, width = x.shape
    draws = per_sample.rand(4, n, dim=1, device=x.device, dtype=x.dtype)
    mirror = with_probability(p, 1 - 2 * (2 * draws[0]).floor(), 1.0)
    turns = with_probability(p, (4 * draws[1]).floor(), 0.0)
    x_by, y_by = with_probability(p, (2 * draws[2:] - 1) / 8, 0.0)
    return [
        scaling(mirror, 1),
        rotation(turns * (math.pi / 2)),
        shift((x_by * width).round(), (y_by * height).round()),
    ]


def geometry(x: Tensor, p: Tensor) -> list[Tensor]:
    """Geometric transforms, as maps from output to input.

    Isotropic scaling 2^N(0, .2²), a rotation, anisotropic scaling 2^N(0, .2²), another rotation, a shift of
    N(0, (side / 8)²). Each rotation is by any angle and has probability 1 − √(1 − p), so that at least one of them
    happens with probability p.
    """
    n, _, height, width = x.shape
    normal = per_sample.randn(4, n, dim=1, device=x.device, dtype=x.dtype)
    angles = math.pi * (2 * per_sample.rand(2, n, dim=1, device=x.device, dtype=x.dtype) - 1)
    either = 1 - (1 - p).sqrt()
    scale = with_probability(p, (0.2 * normal[0]).exp2(), 1.0)
    stretch = with_probability(p, (0.2 * normal[1]).exp2(), 1.0)
    x_by, y_by = with_probability(p, normal[2:] / 8, 0.0)
    return [
        scaling(scale, scale),
        rotation(with_probability(either, angles[0], 0.0)),
        scaling(stretch, 1 / stretch),
        rotation(with_probability(either, angles[1], 0.0)),
        shift(x_by * width, y_by * height),
    ]


def color(x: Tensor, p: Tensor) -> list[Tensor]:
    """Colour transforms, in the order in which they are applied.

    Brightness N(0, .2²), contrast 2^N(0, .5²), luma flip, hue by any angle, saturation 2^N(0, 1).
    """
    normal = per_sample.randn(3, len(x), dim=1, device=x.device, dtype=x.dtype)
    draws = per_sample.rand(2, len(x), dim=1, device=x.device, dtype=x.dtype)
    brighter = with_probability(p, 0.2 * normal[0], 0.0)
    contrast = with_probability(p, (0.5 * normal[1]).exp2(), 1.0)
    flip = with_probability(p, 1 - 2 * (2 * draws[0]).floor(), 1.0)
    angle = with_probability(p, math.pi * (2 * draws[1] - 1), 0.0)
    saturation = with_probability(p, normal[2].exp2(), 1.0)
    return [
        matrix((1, 0, 0, brighter), (0, 1, 0, brighter), (0, 0, 1, brighter), (0, 0, 0, 1)),
        matrix((contrast, 0, 0, 0), (0, contrast, 0, 0), (0, 0, contrast, 0), (0, 0, 0, 1)),
        luma_chroma_scaling(flip, torch.ones_like(flip)),
        hue_rotation(angle),
        luma_chroma_scaling(1.0, saturation),
    ]


def reflect(position: Tensor, side: int) -> Tensor:
    """Integer positions, reflected into 0 … side − 1 at the centres of the outermost pixels."""
    last = side - 1
    return last - (position.long() % max(2 * last, 1) - last).abs()


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """Warp images (n, c, h, w), with bilinear interpolation and reflection at the border.

    `torch.nn.functional.grid_sample` has no second derivative. This function gathers at positions that do not depend on
    x, so it is linear in x.

    Args:
        x: the images.
        inverse: (n, 3, 3), from a pixel of the output to its position in the input, both (x, y, 1) from the centre.
    """
    height, width = x.shape[2:]
    across = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
    down = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] - (height - 1) / 2
    rows = inverse[:, :2, :, None, None]
    places = rows[:, :, 0] * across + rows[:, :, 1] * down + rows[:, :, 2]  # (n, 2, h, w)
    u, v = places[:, 0] + (width - 1) / 2, places[:, 1] + (height - 1) / 2
    left, top = u.floor(), v.floor()
    pixels, result = x.flatten(2), torch.zeros_like(x)
    for column, share_x in ((left, 1 - (u - left)), (left + 1, u - left)):
        for row, share_y in ((top, 1 - (v - top)), (top + 1, v - top)):
            index = (reflect(row, height) * width + reflect(column, width)).flatten(1).unsqueeze(1)
            result = result + pixels.take_along_dim(index, 2).view_as(x) * (share_x * share_y).unsqueeze(1)
    return result


def recolor(x: Tensor, change: Tensor) -> Tensor:
    """Transform the colours of images (n, 3, h, w) by (n, 4, 4). Grey images (n, 1, h, w) count as three channels."""
    rows = change[:, :3, :, None, None]
    mapped = (rows[:, :, :3] * x.expand(-1, 3, -1, -1).unsqueeze(1)).sum(2) + rows[:, :, 3]
    return mapped if x.shape[1] == 3 else mapped.mean(1, keepdim=True)


Draw = Callable[[Tensor, Tensor], list[Tensor]]
MOVES: dict[Transforms, Draw] = {"blitting": blitting, "geometry": geometry}
COLORS: dict[Transforms, Draw] = {"color": color}


@formula("D(T(·)) for data and fakes, each of T with probability p: {transforms}")
class AdaptiveAugmentation(nn.Module):
    """Transforms of images, each with probability p: (n, c, h, w) → (n, c, h, w).

    Karras et al. 2020, arXiv:2006.06676, Appendix B: pixel blitting, geometric and colour transforms, composed into one
    affine warp and one colour transform. The paper's wavelet filter against aliasing is left out, so images that are
    shrunk show slight aliasing. p is a buffer that starts at zero;
    `gan_runner.terms.augmentation_control.AugmentationControl` adjusts it.

    Args:
        shape: shape of one image, (c, h, w) with c = 1 or 3.
        transforms: kinds of transforms to use.

    Raises:
        ValueError: samples are not images, or have another number of channels.
    """

    p: Tensor

    def __init__(self, shape: tuple[int, ...], transforms: tuple[Transforms, ...] = ("blitting", "geometry", "color")):
        super().__init__()
        require_images("ada", shape)
        if shape[0] not in (1, 3):
            raise ValueError(f"ada needs images of 1 or 3 channels, not {shape[0]}; choose regularizer=[diff_augment]")
        self.transforms = transforms
        self.moves = [MOVES[name] for name in transforms if name in MOVES]
        self.colors = [COLORS[name] for name in transforms if name in COLORS]
        self.register_buffer("p", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Augment each image independently."""
        moves = [move for draw in self.moves for move in draw(x, self.p)]
        colors = [change for draw in self.colors for change in draw(x, self.p)]
        if moves:
            x = warp(x, reduce(product, moves))
        if colors:
            x = recolor(x, reduce(lambda before, after: product(after, before), colors))
        return x
