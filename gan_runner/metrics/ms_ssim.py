"""Multi-scale structural similarity (MS-SSIM) as a measure of the diversity of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gan_runner.metrics.base import Positive, metric
from gan_runner.metrics.results import Results

if TYPE_CHECKING:
    from gan_runner.system import System

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales from fine to coarse (Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216)."""

WINDOW = 11
SIGMA = 1.5
"""Size and standard deviation in pixels of the Gaussian window for local means and variances."""

C1, C2 = 0.01**2, 0.03**2
"""Stabilising constants for intensities in [0, 1] (Wang et al. 2004, doi:10.1109/TIP.2003.819861)."""


def weights(side: int) -> tuple[float, ...]:
    """Return the normalised weights of the scales that an image with this shorter side in pixels allows.

    Each scale halves the side and must fit a window: two scales need 22 px, three 44, four 88, five 176.

    Raises:
        ValueError: the image is smaller than a window.
    """
    if side < WINDOW:
        raise ValueError(
            f"structural similarity needs images of at least {WINDOW} pixels, and these have {side}; "
            f"set dataset.image_size to {WINDOW} or more, or leave it out"
        )
    chosen = WEIGHTS[: (side // WINDOW).bit_length()]
    return tuple(weight / sum(chosen) for weight in chosen)


def local_mean(x: Tensor) -> Tensor:
    """Return Gaussian-weighted means over all windows inside the image: (n, c, h, w) → (n, c, h − 10, w − 10)."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    gaussian = (-offsets.square() / (2 * SIGMA**2)).exp()
    gaussian = gaussian / gaussian.sum()
    single = x.flatten(0, 1).unsqueeze(1)  # each channel separately
    rows = functional.conv2d(single, gaussian.view(1, 1, -1, 1))
    return functional.conv2d(rows, gaussian.view(1, 1, 1, -1)).squeeze(1).unflatten(0, x.shape[:2])


def similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return SSIM, and its contrast-structure factor alone, of pairs (n, c, h, w) in [0, 1] at one scale: (n,) each.

    These are means over windows and channels of l · cs and cs (Wang et al. 2004, Eq. 13).
    """
    mean_x, mean_y = local_mean(x), local_mean(y)
    variances = local_mean(x.square()) - mean_x.square() + local_mean(y.square()) - mean_y.square()
    covariance = local_mean(x * y) - mean_x * mean_y
    contrast = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    return (luminance * contrast).flatten(1).mean(1), contrast.flatten(1).mean(1)


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the MS-SSIM of pairs of images (n, c, h, w) in [−1, 1]: (n,), from 0 to 1 for equal images.

    It is the weighted product of contrast and structure over all scales, and luminance at the coarsest scale (Wang et
    al. 2003, Eq. 7). Small images have fewer scales, so values of different image sizes are not comparable. A negative
    structure factor counts as 0, since its fractional power is undefined.

    Raises:
        ValueError: the images are smaller than 11 pixels.
    """
    # Luminance needs non-negative intensities.
    x, y = (x.double() + 1) / 2, (y.double() + 1) / 2
    *fine, coarsest = weights(min(x.shape[-2:]))
    product = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for weight in fine:
        product = product * similarity(x, y)[1].clamp(min=0).pow(weight)
        x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return product * similarity(x, y)[0].clamp(min=0).pow(coarsest)


def diversity(images: Tensor, pairs: int = 100, seed: int = 0, chunk: int = 100) -> float:
    """Return the mean MS-SSIM of random pairs of distinct images (n, c, h, w): 1 if all images are equal, lower if they
    are diverse (Odena et al. 2017, arXiv:1610.09585, Section 4.2, within each class).

    The pairs depend only on the seed. They are compared in chunks of `chunk`.

    Raises:
        ValueError: there are fewer than two images or no pairs, or the images are smaller than 11 pixels.
    """
    n = len(images)
    if n < 2 or pairs < 1:
        raise ValueError(f"it needs at least one pair of images, not {pairs} pairs of {n} images; increase them")
    rng = torch.Generator().manual_seed(seed)
    first = torch.randint(n, (pairs,), generator=rng)
    second = (first + torch.randint(1, n, (pairs,), generator=rng)) % n
    values = [
        ms_ssim(images[i.to(images.device)], images[j.to(images.device)])
        for i, j in zip(first.split(chunk), second.split(chunk))
    ]
    return torch.cat(values).mean().item()


def needs_large_images(system: System) -> None:
    """Require images that are at least as large as a window."""
    shape = system.dataset.shape
    if len(shape) != 3 or shape[-1] < WINDOW:
        raise ValueError(f"it needs images of {WINDOW} px or more, and this data has shape {list(shape)}; leave it out")


@metric(ms_ssim=min, least_samples=2, requires=(needs_large_images,))
def ms_ssim_diversity(results: Results, pairs: Positive = 500) -> dict[str, float]:
    """Mean MS-SSIM of random pairs of samples, and of the data; samples far above the data lack diversity."""
    return {
        "ms_ssim": diversity(results.samples, pairs),
        "ms_ssim_of_data": diversity(results.real, pairs),
    }
