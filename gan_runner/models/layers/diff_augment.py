"""Differentiable augmentation of real and fake images before a discriminator.

Each function takes images (n, c, h, w) in [−1, 1] and draws independently for each of them. All are affine in the
images, so they are twice differentiable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from gan_runner.models.sizes import require_images
from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula

Policy = Literal["color", "translation", "cutout"]


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One draw from U(low, high) for each image: (n, 1, 1, 1)."""
    return low + (high - low) * per_sample.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)


def brightness(x: Tensor) -> Tensor:
    """Add U(−½, ½)."""
    return x + uniform(x, -0.5, 0.5)


def saturation(x: Tensor) -> Tensor:
    """Scale the difference of each pixel from its grey value by U(0, 2)."""
    grey = x.mean(1, keepdim=True)
    return grey + uniform(x, 0.0, 2.0) * (x - grey)


def contrast(x: Tensor) -> Tensor:
    """Scale the difference of each pixel from the image's mean by U(½, 3/2)."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + uniform(x, 0.5, 1.5) * (x - mean)


def along(positions: Tensor, dim: int) -> Tensor:
    """Reshape (n, side) to (n, 1, side, 1) for dimension 2 of images, or (n, 1, 1, side) for dimension 3."""
    return positions[:, None, :, None] if dim == 2 else positions[:, None, None, :]


def translation(x: Tensor, ratio: float = 1 / 8) -> Tensor:
    """Shift by whole pixels, up to `ratio` of the side in each direction, with zero padding."""
    for dim in (2, 3):
        side = x.shape[dim]
        most = int(side * ratio + 0.5)
        by = per_sample.randint(-most, most + 1, len(x), 1, device=x.device)
        source = torch.arange(side, device=x.device) - by
        inside = (source >= 0) & (source < side)
        x = x.take_along_dim(along(source.clamp(0, side - 1), dim), dim) * along(inside, dim)
    return x


def cutout(x: Tensor, ratio: float = 1 / 2) -> Tensor:
    """Set a square to zero. Its side is `ratio` of the image's, and its centre lies anywhere in the image."""
    hidden = torch.ones((), dtype=torch.bool, device=x.device)
    for dim in (2, 3):
        side = x.shape[dim]
        size = int(side * ratio + 0.5)
        first = per_sample.randint(0, side + 1 - size % 2, len(x), 1, device=x.device) - size // 2
        position = torch.arange(side, device=x.device)
        hidden = hidden & along((position >= first) & (position < first + size), dim)
    return x * ~hidden


POLICIES: dict[Policy, tuple[Callable[[Tensor], Tensor], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


@formula("D(T(·)) for data and fakes, T: {policy}")
class DiffAugment(nn.Module):
    """Color, translation and cutout of images: (n, c, h, w) → (n, c, h, w).

    Zhao et al. 2020, arXiv:2006.10738. As in the authors' code images lie in [−1, 1], so zeros are mid-grey.

    Args:
        shape: shape of one image, (c, h, w).
        policy: kinds of augmentation to use, in this order.

    Raises:
        ValueError: samples are not images.
    """

    def __init__(self, shape: tuple[int, ...], policy: tuple[Policy, ...] = ("color", "translation", "cutout")):
        super().__init__()
        require_images("diff_augment", shape)
        self.policy = policy
        self.steps = [step for name in policy for step in POLICIES[name]]

    def forward(self, x: Tensor) -> Tensor:
        """Augment each image independently."""
        for step in self.steps:
            x = step(x)
        return x
