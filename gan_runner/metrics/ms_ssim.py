"""Multi-scale structural similarity of images, and how diverse a set of images is by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.metrics.figures import figures
from gan_runner.requirements import requires

if TYPE_CHECKING:
    from gan_runner.build import Parts
    from gan_runner.metrics.results import Results

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales from fine to coarse (Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216)."""

WINDOW = 11


def weights(side: int) -> tuple[float, ...]:
    """Weights, of sum one, of as many of the five scales as an image's shorter side in pixels allows.

    Each scale has half the side of the one before, and holds at least one window. torchmetrics asks of a number of
    scales s also a side of 11 (s − 1)², which is more where s = 4: three scales from 44 px on, four from 99, five from
    176; two from 22.

    Raises:
        ValueError: the image is smaller than a window.
    """
    if side < WINDOW:
        raise ValueError(
            f"structural similarity looks through windows of {WINDOW} pixels, and these images have {side}; "
            f"choose dataset.image_size={WINDOW} or more, or leave it out"
        )
    scales = [s for s in range(1, 6) if side >= WINDOW * max(2 ** (s - 1), (s - 1) ** 2)]
    chosen = WEIGHTS[: scales[-1]]
    return tuple(weight / sum(chosen) for weight in chosen)


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM of pairs of images, both (n, channels, height, width) in [−1, 1]: (n,), from 0 to 1 where they are alike.

    Small images have fewer scales, so figures of different sizes are not comparable. Pairs whose structures are
    opposed at some scale count 0 there: a power of a negative number has no value. At the coarsest scale torchmetrics
    also looks through windows that its reflected border completes, which the paper's do not.

    Raises:
        ValueError: the images are smaller than 11 pixels.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure  # slow to import

    chosen = weights(min(x.shape[-2:]))
    # The term of luminance, 2 μ_x μ_y / (μ_x² + μ_y²), is about intensities that are not negative.
    x, y = (x.float() + 1) / 2, (y.float() + 1) / 2
    return multiscale_structural_similarity_index_measure(
        x, y, kernel_size=WINDOW, reduction="none", data_range=1.0, betas=chosen, normalize="relu"
    )


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


def images_large_enough(parts: Parts) -> None:
    """The data must be images that hold a window."""
    shape = parts.dataset.shape
    if len(shape) != 3 or shape[-1] < WINDOW:
        raise ValueError(f"it compares images of {WINDOW} px or more, and this data is {list(shape)}; leave it out")


@figures(ms_ssim=min)
@requires(images_large_enough)
def ms_ssim_diversity(results: Results, pairs: int = 500) -> dict[str, float]:
    """Mean MS-SSIM of random pairs of samples, and of the data: 1 where all are alike, far below the data's noise."""
    return {
        "ms_ssim": diversity(results.samples, pairs),
        "ms_ssim_of_data": diversity(results.real, pairs),
    }
