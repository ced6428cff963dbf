"""Sliced Wasserstein distance: closed forms, and a reference in one dimension."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import wasserstein_distance

from gan_runner.metrics.base import directions_of
from gan_runner.metrics.sliced_wasserstein import sliced_wasserstein


def distance(samples, real, **knobs):
    return sliced_wasserstein(SimpleNamespace(samples=samples, real=real), **knobs)["sliced_wasserstein"]


@pytest.fixture(params=[(1,), (2,), (1, 4, 4)], ids=str)
def points(request):
    torch.manual_seed(0)
    return torch.randn(300, *request.param)


def test_identical_sets_are_at_no_distance_in_any_order(points):
    assert distance(points, points) == 0
    assert distance(points, points.flip(0)) == pytest.approx(0, abs=1e-14)


def test_different_sets_are_at_some_distance(points):
    assert distance(points, 2 * points) > 0.1


def test_distance_is_symmetric_and_grows_with_the_scale(points):
    other = points.square()
    assert distance(points, other) == pytest.approx(distance(other, points))
    assert distance(4 * points, 4 * other) == pytest.approx(4 * distance(points, other), rel=1e-6)


def test_a_common_shift_changes_nothing(points):
    other = points.square()
    assert distance(points + 3, other + 3) == pytest.approx(distance(points, other), rel=1e-5)


def test_triangle_inequality(points):
    a, b, c = points, points.square(), points.exp()
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_one_dimension_is_the_exact_distance():
    torch.manual_seed(0)
    samples, real = torch.randn(500, 1, dtype=torch.float64), torch.rand(500, 1, dtype=torch.float64)
    expected = wasserstein_distance(samples[:, 0], real[:, 0])
    assert distance(samples, real, projections=3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dim", [2, 3, 16])
def test_a_shift_is_the_mean_of_its_projections(dim):
    """E|⟨v, θ⟩| = ‖v‖ Γ(d/2) / (√π Γ((d + 1)/2)) for θ uniform on the sphere."""
    torch.manual_seed(0)
    points, shift = torch.randn(50, dim, dtype=torch.float64), torch.randn(dim, dtype=torch.float64)
    constant = math.exp(math.lgamma(dim / 2) - math.lgamma((dim + 1) / 2)) / math.sqrt(math.pi)
    measured = distance(points + shift, points, projections=40_000)
    assert measured == pytest.approx(shift.norm().item() * constant, rel=0.02)
    few = distance(points + shift, points, projections=16)
    assert distance(points - 2 * shift, points, projections=16) == pytest.approx(2 * few)  # the same directions


def test_directions_do_not_depend_on_the_random_state_and_leave_it_alone(points):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = distance(points, points.square())
    assert torch.equal(torch.rand(3), expected)
    assert distance(points, points.square()) == first


def test_larger_set_is_cut(points):
    other = points.square()
    assert distance(points, other[:100]) == distance(points[:100], other[:100])
    assert distance(points[:100], other) == distance(points[:100], other[:100])


def test_less_is_better():
    assert directions_of(sliced_wasserstein) == {"sliced_wasserstein": min}
