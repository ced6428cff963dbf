"""Log-likelihood under a Parzen window estimate: a Gaussian around each sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import Split
from gan_runner.losses.kernels import require_positive, squared_distances
from gan_runner.metrics.base import Positive, TwoOrMore, metric
from gan_runner.metrics.results import Results

if TYPE_CHECKING:
    from gan_runner.system import System

AUTHORS_SIGMAS = tuple(10 ** (i / 9 - 1) for i in range(10))
"""The authors' choices for images on [0, 1]: ten values from 0.1 to 1, logarithmically spaced."""


def log_likelihoods(x: Tensor, samples: Tensor, sigmas: Sequence[float], chunk: int) -> Iterator[Tensor]:
    """Yield log (1/m) Σⱼ N(x; sⱼ, σ²I) in nats for each chunk of x and each σ: (number of σ, chunk), float64."""
    require_positive("sigma", tuple(sigmas))
    samples = samples.double()
    m, dim = samples.shape
    for part in x.split(chunk):
        squared = squared_distances(part.double(), samples)  # shared by all σ
        yield torch.stack(
            [
                torch.logsumexp(squared / (-2 * sigma**2), 1) - math.log(m) - dim / 2 * math.log(2 * math.pi * sigma**2)
                for sigma in sigmas
            ]
        )


def log_likelihood(x: Tensor, samples: Tensor, sigma: float, chunk: int = 256) -> Tensor:
    """Return the log-likelihood (n,) in nats of x under a Gaussian Parzen window of samples (Breuleux et al. 2011,
    Neural Computation 23(8); Goodfellow et al. 2014, arXiv:1406.2661, Section 5).

    The computation is in float64. For values on the authors' scale [0, 1], map x and samples on [−1, 1] to (x + 1) / 2.

    Args:
        x: data (n, d).
        samples: samples of the generator (m, d).
        sigma: σ of each Gaussian, in units of the data.
        chunk: rows of x per chunk; memory is chunk · m numbers.

    Raises:
        ValueError: sigma is not positive.
    """
    return torch.cat([values[0] for values in log_likelihoods(x, samples, [sigma], chunk)])


def choose_sigma(validation: Tensor, samples: Tensor, sigmas: Sequence[float], chunk: int = 256) -> float:
    """Return the first sigma with the highest mean log-likelihood of validation data (n, d).

    Raises:
        ValueError: there is no sigma, or one is not positive.
    """
    total = torch.stack([values.sum(1) for values in log_likelihoods(validation, samples, sigmas, chunk)]).sum(0)
    return sigmas[int(total.argmax())]


def needs_validation_and_test(system: System) -> None:
    """Require images with validation and test splits."""
    if not system.dataset.bounded:
        raise ValueError("it needs images; choose metric=[optimal_transport] for points")
    for split, advice in (("validation", "set dataset.held_out=1000"), ("test", "choose a dataset with a test split")):
        if split not in system.dataset.splits:
            raise ValueError(f"it needs a {split} split, and this dataset has none; {advice}")


def measured_on(splits: Sequence[Split], selecting: bool) -> Split:
    """The split on which the likelihood is measured; values that select a checkpoint must not see test images."""
    return "validation" if selecting else "test"


@metric(parzen_nats=max, requires=(needs_validation_and_test,), conditions={"split": measured_on})
def parzen(
    results: Results, sigmas: Sequence[float] = AUTHORS_SIGMAS, validation: Positive = 1000, test: TwoOrMore = 10000
) -> dict[str, float]:
    """Mean log-likelihood in nats of test images on [0, 1] under a Parzen window of the samples, and its standard error
    (Goodfellow et al. 2014, arXiv:1406.2661, Section 5; sigmas and sizes as in the authors' code).

    During a run, other validation images stand for the test images, so that the test split chooses no checkpoint.

    Args:
        results: results with the samples.
        sigmas: candidates; the one with the highest likelihood on validation images is used.
        validation: number of validation images that choose; during a run at most half of them.
        test: number of images that the likelihood is measured on.
    """
    reference = results.reference
    if reference.selecting:
        images = reference.split("validation").real(validation + test)
        first = min(validation, len(images) // 2)
        choosing, measuring = images[:first], images[first:][:test]
    else:
        choosing, measuring = reference.split("validation").real(validation), reference.split("test").real(test)
    samples, choosing, measuring = ((x.flatten(1) + 1) / 2 for x in (results.samples, choosing, measuring))
    sigma = choose_sigma(choosing, samples, sigmas)
    values = log_likelihood(measuring, samples, sigma)
    error = values.std() / len(values) ** 0.5
    return {"parzen_nats": values.mean().item(), "parzen_standard_error": error.item(), "parzen_sigma": sigma}
