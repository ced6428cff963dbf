"""Kernels and MMD: closed forms, invariances, limits, and the witness function."""

import math

import pytest
import torch
from scipy import integrate, stats

from gan_runner.losses.kernels import (
    RBF,
    RationalQuadratic,
    biased_mmd2,
    in_units,
    median_squared_distance,
    squared_distances,
    unbiased_mmd2,
    witness,
)

KERNELS = [RBF((0.5, 2.0)), RationalQuadratic((0.2, 1.0, 5.0))]
every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def expected(kernel, mean, variance):
    """E k(x, y) where x − y ~ N(mean, diag variance), from the kernel's mixture of Gaussians."""
    if isinstance(kernel, RBF):
        return kernel.expected(mean, variance).item()

    def of_precision(tau):
        return RBF((tau**-0.5,)).expected(mean, variance).item()

    total = 0.0
    for alpha in kernel.alphas:  # over the quantiles of 1/σ² ~ Gamma(shape α, rate α)
        gamma = stats.gamma(alpha, scale=1 / alpha)
        total += integrate.quad(lambda u, g=gamma: of_precision(max(g.ppf(u), 1e-300)), 0, 1, limit=200)[0]
    return total


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_expected_gaussian_kernel_by_quadrature(sigma):
    mean, variance = 0.7, 1.5

    def integrand(d):
        return math.exp(-(d**2) / (2 * sigma**2)) * stats.norm(mean, variance**0.5).pdf(d)

    truth = integrate.quad(integrand, -12, 12)[0]
    one = RBF((sigma,)).expected(torch.tensor([mean]).double(), torch.tensor([variance]).double())
    assert one.item() == pytest.approx(truth, rel=1e-6)
    both = RBF((sigma,)).expected(torch.tensor([mean, 0.0]).double(), torch.tensor([variance, 0.0]).double())
    assert both.item() == pytest.approx(truth, rel=1e-6)  # a dimension without differences


@every_kernel
def test_unbiased_estimate_is_correct_in_the_mean(kernel):
    """Over 400 draws of 40 points from N(0, I) and N((1, 0), 1.5² I), within four standard errors."""
    shift, zero, one = torch.tensor([1.0, 0.0]).double(), torch.zeros(2).double(), torch.ones(2).double()
    truth = (
        expected(kernel, zero, 2 * one) + expected(kernel, zero, 4.5 * one) - 2 * expected(kernel, shift, 3.25 * one)
    )
    estimates = torch.stack([unbiased_mmd2(kernel, normal(40, 2), shift + 1.5 * normal(40, 2)) for _ in range(400)])
    error = estimates.std().item() / 20
    assert estimates.mean().item() == pytest.approx(truth, abs=4 * error)
    assert 4 * error < 0.1 * truth


@every_kernel
def test_unbiased_estimate_of_equal_distributions_is_zero_in_the_mean_and_negative_half_the_time(kernel):
    estimates = torch.stack([unbiased_mmd2(kernel, normal(30, 3), normal(20, 3)) for _ in range(400)])
    assert estimates.mean().item() == pytest.approx(0, abs=4 * estimates.std().item() / 20)
    assert 0.4 < (estimates < 0).double().mean() < 0.8


@every_kernel
def test_biased_estimate_is_the_squared_distance_of_the_empirical_distributions(kernel):
    x, y = normal(7, 2), normal(5, 2)
    assert biased_mmd2(kernel, x, x.flip(0)).item() == pytest.approx(0, abs=1e-14)
    points = torch.cat([x, y])
    weights = torch.cat([torch.full((7,), 1 / 7), torch.full((5,), -1 / 5)]).double()
    form = weights @ kernel(squared_distances(points, points)) @ weights
    assert biased_mmd2(kernel, x, y).item() == pytest.approx(form.item())
    assert form > 0


@every_kernel
def test_estimates_differ_by_the_pairs_of_a_point_with_itself(kernel):
    n = 9
    x, y = normal(n, 2), normal(n, 2)
    within = kernel(squared_distances(x, x)).mean() + kernel(squared_distances(y, y)).mean()
    own = 2 * kernel(torch.zeros(()).double())
    difference = (own - within) / (n - 1)
    assert (biased_mmd2(kernel, x, y) - unbiased_mmd2(kernel, x, y)).item() == pytest.approx(difference.item())


@every_kernel
def test_kernels_are_positive_definite_and_greatest_at_zero(kernel):
    x = normal(30, 2)
    gram = kernel(squared_distances(x, x))
    assert torch.linalg.eigvalsh(gram).min() > -1e-10
    assert (gram <= kernel(torch.zeros(()).double()) + 1e-12).all()


@every_kernel
def test_witness_has_the_greatest_difference_of_means_among_functions_of_its_norm(kernel):
    x, y = normal(12, 2), 1 + normal(15, 2)
    root = biased_mmd2(kernel, x, y).sqrt()
    difference = witness(kernel, x, x, y).mean() - witness(kernel, y, x, y).mean()
    torch.testing.assert_close(difference, root.square())  # ⟨f, f⟩: divided by its norm it attains the distance
    points = normal(10, 2)
    for _ in range(20):  # any other function Σ aᵢ k(zᵢ, ·) of norm one differs by less
        a = normal(10)
        a = a / (a @ kernel(squared_distances(points, points)) @ a).sqrt()
        other = a @ kernel(squared_distances(points, x)).mean(1) - a @ kernel(squared_distances(points, y)).mean(1)
        assert other <= root


@every_kernel
def test_a_large_common_shift_changes_nothing(kernel):
    x, y = normal(20, 2), normal(20, 2) + 1
    for estimate in (unbiased_mmd2, biased_mmd2):
        near, far = estimate(kernel, x, y), estimate(kernel, x + 1e4, y + 1e4)
        assert far.item() == pytest.approx(near.item(), rel=1e-6)


def test_squared_distances_are_those_of_cdist():
    x, y = normal(6, 3), normal(4, 3)
    torch.testing.assert_close(squared_distances(x, y), torch.cdist(x, y).square())
    assert (squared_distances(x.float(), x.float()) >= 0).all()


def test_rational_quadratic_tends_to_the_gaussian():
    squared = torch.linspace(0, 9, 10).double()
    torch.testing.assert_close(RationalQuadratic((1e6,))(squared), RBF((1.0,))(squared), rtol=0, atol=1e-5)


def test_median_is_over_all_pairs_and_makes_mmd_invariant_to_scale():
    x, y = normal(9, 2), normal(9, 2)
    pairs = torch.pdist(x).square().sort().values
    assert median_squared_distance(x).item() == pytest.approx(pairs[(len(pairs) - 1) // 2].item())
    kernel = RBF((0.5, 1.0))
    values = [biased_mmd2(in_units(kernel, median_squared_distance(s * x)), s * x, s * y).item() for s in (1, 100)]
    assert values[0] == pytest.approx(values[1])


def test_median_of_equal_points_is_positive():
    x = torch.ones(4, 2)
    assert biased_mmd2(in_units(RBF(), median_squared_distance(x)), x, x).item() == 0


@pytest.mark.parametrize("values", [(), (0.0,), (1.0, -1.0), (math.inf,), (math.nan,)])
def test_scales_must_be_positive(values):
    with pytest.raises(ValueError, match="bandwidths must be positive"):
        RBF(values)
    with pytest.raises(ValueError, match="alphas must be positive"):
        RationalQuadratic(values)


def test_quadratures_of_the_rational_quadratic_agree():
    kernel, mean, variance = RationalQuadratic((0.2, 1.0, 5.0)), torch.tensor([0.7, -0.2]), torch.tensor([1.3, 2.0])
    mean, variance = mean.double(), variance.double()
    assert kernel.expected(mean, variance).item() == pytest.approx(expected(kernel, mean, variance), rel=1e-4)
