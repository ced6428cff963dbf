"""The kernel two-sample test: its level, its power, and the closed form between Gaussians."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from scipy import stats

from gan_runner.datasets.toy import GaussianMixture, Ring
from gan_runner.losses.kernels import RBF, RationalQuadratic, squared_distances, unbiased_mmd2
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.mmd import mmd, mmd_gap, permuted_mmd2
from gan_runner.models.gaussian import Gaussian
from gan_runner.models.mlp import MLPGenerator
from gan_runner.requirements import check_requirements

KERNELS = [RBF((1.0,)), RationalQuadratic()]
every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def measured(samples, real, kernel=KERNELS[0], **knobs):
    return mmd(SimpleNamespace(samples=samples, real=real), kernel, **knobs)


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
def test_level_is_as_nominal(shape):
    """Of 200 pairs from one distribution, those with p ≤ 0.05 are binomial: 99.9 % of the time within these bounds."""
    values = [measured(torch.randn(30, *shape), torch.randn(30, *shape), permutations=99) for _ in range(200)]
    p = torch.tensor([value["mmd_p_value"] for value in values])
    for level in (0.05, 0.5):
        low, high = stats.binom.interval(0.999, 200, level)
        assert low <= (p <= level + 1e-9).sum() <= high
    assert p.min() >= 1 / 100


@every_kernel
def test_power_against_a_clear_shift(kernel):
    values = [measured(torch.randn(50, 2) + 1, torch.randn(50, 2), kernel, permutations=99) for _ in range(50)]
    assert sum(value["mmd_p_value"] <= 0.05 for value in values) >= 49
    assert all(value["mmd2"] > 0 for value in values)


def test_a_difference_in_spread_alone_is_seen():
    assert measured(3 * torch.randn(200, 2), torch.randn(200, 2))["mmd_p_value"] <= 0.05


def test_that_samples_equal_to_the_data_are_not_rejected():
    x = torch.randn(40, 2)
    assert measured(x, x.flip(0))["mmd_p_value"] == 1


@every_kernel
def test_permuted_values_are_those_of_the_permuted_samples(kernel):
    x, y = torch.randn(8, 2).double(), torch.randn(8, 2).double() + 1
    values = permuted_mmd2(kernel, x, y, 5)
    points = torch.cat([x, y])
    order = torch.rand(5, 16, generator=torch.Generator().manual_seed(0)).argsort(1)
    again = [unbiased_mmd2(kernel, points[o < 8], points[o >= 8]) for o in order]
    torch.testing.assert_close(values[1:], torch.stack(again))
    torch.testing.assert_close(values[0], unbiased_mmd2(kernel, x, y))


def test_that_the_median_unit_makes_values_independent_of_scale():
    x, y = torch.randn(30, 2), torch.randn(30, 2) + 0.3
    near, far = measured(x, y), measured(100 * x, 100 * y)
    assert near["mmd2"] == pytest.approx(far["mmd2"], rel=1e-4)
    assert near["mmd_p_value"] == far["mmd_p_value"]
    assert measured(x, y, median=False)["mmd2"] == pytest.approx(unbiased_mmd2(KERNELS[0], x, y).item(), rel=1e-4)


def test_that_mmd2_grows_with_the_distance_from_the_data():
    x, y = torch.randn(100, 2), torch.randn(100, 2)
    values = [measured(y + shift, x, permutations=1)["mmd2"] for shift in (0.0, 1.0, 4.0, 8.0, 100.0)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(values[-2], rel=0.01)


def test_that_values_do_not_depend_on_the_random_state():
    x, y = torch.randn(30, 2), torch.randn(30, 2)
    torch.manual_seed(1)
    first = measured(x, y)
    assert measured(x, y) == first


def test_that_the_number_of_points_is_limited():
    x, y = torch.randn(30, 2), torch.randn(25, 2)
    assert measured(x, y, points=20) == measured(x[:20], y[:20])
    assert measured(x, y) == measured(x[:25], y)


def gaussian_results(n, generator=None):
    dataset = GaussianMixture(means=((0.5, 0.0),), std=1.0)
    generator = generator or Gaussian(2, (2,), mean=(-0.5, 0.0), std=1.2)
    system = SimpleNamespace(dataset=dataset, networks={"generator": generator})
    samples = generator(torch.randn(n, 2)).detach()
    return SimpleNamespace(system=system, dataset=dataset, samples=samples, real=dataset.sample(n)[0])


def test_gap_to_the_closed_form_shrinks_with_the_samples():
    kernel = RBF((0.5, 1.0, 2.0))
    few = [mmd_gap(gaussian_results(20), kernel)["mmd_gap"] for _ in range(30)]
    many = [mmd_gap(gaussian_results(1000), kernel)["mmd_gap"] for _ in range(3)]
    assert max(many) < 0.08
    assert sum(many) / 3 < 0.3 * sum(few) / 30


def test_gap_is_the_whole_distance_where_the_samples_are_others():
    results = gaussian_results(500)
    results.samples = results.real
    kernel = RBF((1.0,))
    x, y = results.dataset.sample(2000)[0], Gaussian(2, (2,), (-0.5, 0.0), 1.2)(torch.randn(2000, 2)).detach()
    truth = unbiased_mmd2(kernel, x, y).item()
    own = 2 * (1 - kernel(squared_distances(results.real, results.real)).mean()).item() / 499
    assert mmd_gap(results, kernel)["mmd_gap"] == pytest.approx(truth + own, abs=0.02)


@pytest.mark.parametrize("fault", ["data", "generator"])
def test_closed_form_needs_gaussians(fault):
    results = gaussian_results(5, MLPGenerator(2, (2,), False) if fault == "generator" else None)
    system = results.system
    if fault == "data":
        system.dataset = Ring()
    with pytest.raises(ValueError, match="choose dataset=gaussian model=gaussian"):
        check_requirements(partial(mmd_gap, kernel=RBF()), system)
    check_requirements(mmd_gap, gaussian_results(5).system)


def test_which_is_better():
    assert directions_of(mmd) == {"mmd2": min, "mmd_p_value": max}
    assert directions_of(mmd_gap) == {"mmd_gap": min}
