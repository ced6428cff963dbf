"""Multi-scale structural similarity of images, and how diverse a set of images is by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gan_runner.metrics.base import metric

if TYPE_CHECKING:
    from gan_runner.metrics.results import Results
    from gan_runner.system import System

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales from fine to coarse (Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216)."""

WINDOW = 11
SPREAD = 1.5
"""Side and standard deviation in pixels of the Gaussian through which means and variances are taken."""

C1, C2 = 0.01**2, 0.03**2
"""What keeps the quotients finite, for intensities in [0, 1] (Wang et al. 2004, doi:10.1109/TIP.2003.819861)."""


def weights(side: int) -> tuple[float, ...]:
    """Weights, of sum one, of as many of the five scales as an image's shorter side in pixels allows.

    Each scale has half the side of the one before, and holds at least one window: two scales from 22 px on, three from
    44, four from 88, five from 176.

    Raises:
        ValueError: the image is smaller than a window.
    """
    if side < WINDOW:
        raise ValueError(
            f"structural similarity looks through windows of {WINDOW} pixels, and these images have {side}; "
            f"choose dataset.image_size={WINDOW} or more, or leave it out"
        )
    chosen = WEIGHTS[: (side // WINDOW).bit_length()]
    return tuple(weight / sum(chosen) for weight in chosen)


def windowed(x: Tensor) -> Tensor:
    """Means through Gaussian windows that lie within the image: (n, c, h, w) → (n, c, h − 10, w − 10)."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    gaussian = (-offsets.square() / (2 * SPREAD**2)).exp()
    gaussian = gaussian / gaussian.sum()
    single = x.flatten(0, 1).unsqueeze(1)  # every channel on its own
    rows = functional.conv2d(single, gaussian.view(1, 1, -1, 1))
    return functional.conv2d(rows, gaussian.view(1, 1, 1, -1)).squeeze(1).unflatten(0, x.shape[:2])


def similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM, and its part of contrast and structure, of pairs (n, c, h, w) in [0, 1] at one scale: (n,) each.

    Means over windows and channels of l · cs and cs (Wang et al. 2004, Eq. 13).
    """
    mean_x, mean_y = windowed(x), windowed(y)
    variances = windowed(x.square()) - mean_x.square() + windowed(y.square()) - mean_y.square()
    covariance = windowed(x * y) - mean_x * mean_y
    contrast = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    return (luminance * contrast).flatten(1).mean(1), contrast.flatten(1).mean(1)


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM of pairs of images, both (n, channels, height, width) in [−1, 1]: (n,), from 0 to 1 where they are alike.

    The product of contrast and structure at every scale, each to its weight, with luminance at the coarsest (Wang et
    al. 2003, Eq. 7). Small images have fewer scales, so figures of different sizes are not comparable. Pairs whose
    structures are opposed at some scale count 0 there: a fractional power of a negative number has no value.

    Raises:
        ValueError: the images are smaller than 11 pixels.
    """
    # The term of luminance is about intensities that are not negative.
    x, y = (x.double() + 1) / 2, (y.double() + 1) / 2
    *fine, coarsest = weights(min(x.shape[-2:]))
    product = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for weight in fine:
        product = product * similarity(x, y)[1].clamp(min=0).pow(weight)
        x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return product * similarity(x, y)[0].clamp(min=0).pow(coarsest)


def diversity(images: Tensor, pairs: int = 100, seed: int = 0, chunk: int = 100) -> float:
    """Mean MS-SSIM of random pairs of distinct images (n, channels, height, width): 1 where all are alike, less where
    they differ (Odena et al. 2017, arXiv:1610.09585, Section 4.2, within each class).

    The pairs, of which so many are drawn, `chunk` at a time, are the same for a seed, on every device.

    Raises:
        ValueError: there are fewer than two images or no pairs, or the images are smaller than 11 pixels.
    """
    n = len(images)
    if n < 2 or pairs < 1:
        raise ValueError(f"it compares pairs of images, and there are {pairs} pairs of {n}; choose more")
    rng = torch.Generator().manual_seed(seed)
    first = torch.randint(n, (pairs,), generator=rng)
    second = (first + torch.randint(1, n, (pairs,), generator=rng)) % n
    values = [
        ms_ssim(images[i.to(images.device)], images[j.to(images.device)])
        for i, j in zip(first.split(chunk), second.split(chunk))
    ]
    return torch.cat(values).mean().item()


def needs_large_images(system: System) -> None:
    """The data must be images that hold a window."""
    shape = system.dataset.shape
    if len(shape) != 3 or shape[-1] < WINDOW:
        raise ValueError(f"it compares images of {WINDOW} px or more, and this data is {list(shape)}; leave it out")


@metric(ms_ssim=min, requires=(needs_large_images,))
def ms_ssim_diversity(results: Results, pairs: int = 500) -> dict[str, float]:
    """Mean MS-SSIM of random pairs of samples, and of the data: 1 where all are alike, far below the data's noise."""
    return {
        "ms_ssim": diversity(results.samples, pairs),
        "ms_ssim_of_data": diversity(results.real, pairs),
    }
