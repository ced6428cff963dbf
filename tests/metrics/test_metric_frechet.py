"""The Fréchet distance: closed forms, torch-fidelity's, and moments of chunks against those of the whole."""

import pytest
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from gan_runner.metrics.frechet import Moments, frechet_distance, moments


def gaussian(mean, covariance):
    return Moments(torch.as_tensor(mean).double(), torch.as_tensor(covariance).double(), 10)


def reference(x, y):
    statistics = [fid_features_to_statistics(z.double()) for z in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]


def features(n, d, shift=0.0):
    return torch.randn(n, d, dtype=torch.float64) @ torch.randn(d, d, dtype=torch.float64) + shift


def test_moments_of_chunks_are_those_of_the_whole():
    x = features(101, 7, shift=3)
    joined = moments(x.split([1, 50, 0, 30, 20]))
    torch.testing.assert_close(joined.mean, x.mean(0))
    torch.testing.assert_close(joined.covariance, x.T.cov())
    assert joined.n == 101


def test_a_mean_far_away_costs_no_digits():
    """At 1e6, E[x²] − E[x]² would lose twelve of sixteen digits."""
    x = features(200, 3)
    torch.testing.assert_close(moments((x + 1e6).split(7)).covariance, moments([x]).covariance, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("chunks", [[], [torch.zeros(1, 3)]])
def test_a_covariance_needs_two(chunks):
    with pytest.raises(ValueError, match="at least two samples"):
        moments(chunks)


@pytest.mark.parametrize(("n", "m"), [(300, 200), (300, 10), (10, 12)])
def test_distance_is_the_reference(n, m):
    """Of sets with more samples than dimensions, and of fewer, whose covariances are singular."""
    x, y = features(n, 24), features(m, 24, shift=0.5)
    assert frechet_distance(moments([x]), moments([y])) == pytest.approx(reference(x, y), rel=1e-6)


def test_of_gaussians_that_commute_it_is_that_of_means_and_deviations():
    rotation = torch.linalg.qr(torch.randn(5, 5).double()).Q
    s, t = torch.rand(5).double(), torch.rand(5).double()
    a = gaussian(torch.zeros(5), rotation * s**2 @ rotation.T)
    b = gaussian(torch.arange(5.0), rotation * t**2 @ rotation.T)
    assert frechet_distance(a, b) == pytest.approx(30 + (s - t).square().sum().item(), rel=1e-12)


def test_in_the_plane_it_is_the_root_of_trace_and_determinant():
    """tr (A B)^½ = √(tr A B + 2 √det A B) for matrices of 2 × 2."""
    a, b = torch.tensor([[2.0, 0.7], [0.7, 1.0]]).double(), torch.tensor([[0.5, -0.3], [-0.3, 3.0]]).double()
    root = ((a @ b).trace() + 2 * (a @ b).det().sqrt()).sqrt()
    expected = (a.trace() + b.trace() - 2 * root).item()
    assert frechet_distance(gaussian([0, 0], a), gaussian([0, 0], b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [200, 10])
def test_a_set_is_at_no_distance_from_itself_and_a_shift_at_its_square(n):
    x = features(n, 32)
    own = moments([x])
    assert frechet_distance(own, own) <= 1e-12 * own.covariance.trace()
    moved = moments([x + 0.5])
    assert frechet_distance(own, moved) == pytest.approx(32 * 0.25, rel=1e-9)
    assert frechet_distance(moved, own) == pytest.approx(frechet_distance(own, moved), rel=1e-12)


def test_points_without_spread_are_at_the_distance_of_a_gaussian_from_a_point():
    """‖μ_a − μ_b‖² + tr A, where B = 0."""
    assert frechet_distance(gaussian([0, 0], torch.eye(2)), gaussian([3, 4], torch.zeros(2, 2))) == pytest.approx(27)
