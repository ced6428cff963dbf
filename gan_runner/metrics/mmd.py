"""Maximum mean discrepancy (MMD): the kernel two-sample test, and the error of the estimate where MMD² is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import HasModes, modes_of
from gan_runner.losses.kernels import (
    RBF,
    Kernel,
    RationalQuadratic,
    in_units,
    median_squared_distance,
    squared_distances,
    unbiased_mmd2,
)
from gan_runner.metrics.base import Positive, TwoOrMore, at_most, metric
from gan_runner.metrics.results import Results
from gan_runner.models.gaussian import Gaussian

if TYPE_CHECKING:
    from gan_runner.system import System


def permuted_mmd2(kernel: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, permutations: int) -> Tensor:
    """Return unbiased MMD² of x and y (n, dim each), then of random permutations of their points: (1 + permutations,).

    The permutations are the same every time.
    """
    n, points = len(x), torch.cat([x, y])
    gram = kernel(squared_distances(points, points)).fill_diagonal_(0)
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(permutations, 2 * n, generator=generator).argsort(1)
    order = torch.cat([torch.arange(2 * n).unsqueeze(0), order]).to(x.device)
    first = (order < n).to(gram)  # which points are in the first set: (1 + permutations, 2n)
    to_first = first @ gram
    within_first = (to_first * first).sum(1)
    across = (to_first * (1 - first)).sum(1)
    within_second = gram.sum() - within_first - 2 * across
    return (within_first + within_second) / (n * (n - 1)) - 2 * across / n**2


@metric(mmd2=min, least_samples=2, mmd_p_value=max, counts=at_most("points"))
def mmd(
    results: Results, kernel: Kernel, median: bool = True, points: TwoOrMore = 500, permutations: Positive = 200
) -> dict[str, float]:
    """Unbiased MMD², and the p-value of a permutation test that samples and data are equally distributed (Gretton et
    al. 2012).

    The unit of MMD² is the median distance among the data alone. With samples in it, the unit would grow with their
    distance from the data, and MMD² would fall. The unit of the test is the median among both, which no permutation
    changes, as its level needs.

    The p-value is the fraction of permutations, including the identity, whose MMD² is at least that of the samples.
    Under the null hypothesis it is at most α with probability at most α.

    Args:
        results: results with samples and data, which are flattened.
        kernel: kernel of the MMD.
        median: whether distances are in units of a median distance.
        points: maximal number of samples, and of real samples.
        permutations: number of permutations in addition to the identity.
    """
    n = min(points, len(results.samples), len(results.real))
    x, y = results.real[:n].flatten(1).double(), results.samples[:n].flatten(1).double()
    of_data, of_both = (
        in_units(kernel, median_squared_distance(points)) if median else kernel for points in (x, torch.cat([x, y]))
    )
    drawn = permuted_mmd2(of_both, x, y, permutations)
    at_least = drawn >= drawn[0] - 1e-12  # equal up to rounding counts
    return {"mmd2": unbiased_mmd2(of_data, x, y).item(), "mmd_p_value": at_least.double().mean().item()}


def needs_gaussians(system: System) -> None:
    """Require Gaussian data and a Gaussian generator."""
    modes = modes_of(system.dataset)
    generator = system.networks.get("generator")
    if modes is None or len(modes) != 1 or not isinstance(generator, Gaussian):
        raise ValueError("it needs Gaussian data and samples; choose dataset=gaussian model=gaussian")


@metric(mmd_gap=min, least_samples=2, requires=(needs_gaussians,))
@torch.no_grad()
def mmd_gap(results: Results, kernel: RBF | RationalQuadratic) -> dict[str, float]:
    """Error of the unbiased estimate of MMD², against the closed form between the Gaussians of data and generator."""
    data = results.dataset
    assert isinstance(data, HasModes)
    assert data.modes is not None
    mean, std = data.modes[0].double(), data.mode_std
    generator = results.system.networks["generator"]
    assert isinstance(generator, Gaussian)
    fake_mean, fake_variance = generator.mean.double().cpu(), (2 * generator.log_std.double().cpu()).exp()
    variance = torch.full_like(mean, std**2)
    zero = torch.zeros_like(mean)
    within_real, within_fake = kernel.expected(zero, 2 * variance), kernel.expected(zero, 2 * fake_variance)
    truth = within_real + within_fake - 2 * kernel.expected(mean - fake_mean, variance + fake_variance)
    estimate = unbiased_mmd2(kernel, results.real.double(), results.samples.double())
    return {"mmd_gap": abs(estimate.item() - truth.item())}
