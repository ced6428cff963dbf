"""Exact optimal transport: POT's, and closed forms."""

from types import SimpleNamespace

import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from gan_runner.metrics import optimal_transport as module
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.optimal_transport import match_optimally, optimal_transport


def w1(real, samples, n=1000):
    return optimal_transport(SimpleNamespace(real=real, samples=samples), n)["wasserstein"]


@pytest.mark.parametrize("dim", [1, 2, 50])
def test_cost_is_that_of_pot(dim):
    x, y = torch.randn(150, dim, dtype=torch.float64), torch.randn(150, dim, dtype=torch.float64).exp()
    cost = ot.dist(x.numpy(), y.numpy(), metric="euclidean")
    assert w1(x, y) == pytest.approx(ot.emd2([], [], cost), rel=1e-12)


def test_on_a_line_it_is_the_distance_of_sorted_values():
    x, y = torch.randn(200, 1).double(), torch.randn(200, 1).double() - 1
    assert w1(x, y) == pytest.approx((x.sort(0).values - y.sort(0).values).abs().mean().item(), rel=1e-12)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_of_a_translation_it_is_its_length(shape):
    """The mean's shift is a lower bound, by Jensen; the translation attains it."""
    x, shift = torch.randn(100, *shape).double(), torch.randn(*shape).double()
    assert w1(x, (x + shift).flip(0)) == pytest.approx(shift.norm().item(), rel=1e-9)


def test_it_is_exact_where_the_default_limit_of_pot_stops_too_early(monkeypatch):
    """The limit that POT has by default is lowered here, and points are few, so that the test is short."""
    x, y = torch.randn(300, 2).double(), torch.randn(300, 2).double() + 1
    exact = linear_sum_assignment(torch.cdist(x, y).numpy())
    assert w1(x, y) == pytest.approx(torch.cdist(x, y)[exact].mean().item(), rel=1e-12)
    monkeypatch.setattr(module, "MAX_ITERATIONS", 100)
    with pytest.raises(ValueError, match=r"of 300 points was not found in 100 iterations, .* set a smaller n"):
        w1(x, y)


@pytest.mark.slow
def test_of_five_thousand_points_it_is_proven_by_the_dual():
    """Potentials u, v with uᵢ + vⱼ ≤ cᵢⱼ bound W₁ from below by the mean of u plus that of v (Kantorovich duality).

    The network simplex needs more iterations here than POT allows by default.
    """
    x, y = torch.randn(5000, 2).double(), 0.8 * torch.randn(5000, 2).double() + 0.5
    costs = torch.cdist(x, y)
    _, log = ot.emd([], [], costs.numpy(), numItermax=module.MAX_ITERATIONS, log=True)
    u = torch.as_tensor(log["u"])
    v = (costs - u[:, None]).min(0).values  # the largest that are allowed beside u
    assert w1(x, y, n=5000) == pytest.approx((u.mean() + v.mean()).item(), rel=1e-9)
    with pytest.warns(UserWarning, match="numItermax reached"):
        assert ot.emd2([], [], costs.numpy()) > 1.0001 * (u.mean() + v.mean()).item()


def test_it_is_a_metric():
    x, y, z = (torch.randn(60, 3).double() for _ in range(3))
    assert w1(x, x.flip(0)) == 0
    assert w1(x, y) == pytest.approx(w1(y, x), rel=1e-12)
    assert w1(x, z) <= w1(x, y) + w1(y, z)
    assert w1(3 * x, 3 * y) == pytest.approx(3 * w1(x, y), rel=1e-12)


def test_every_point_is_matched_once():
    x, y = torch.randn(40, 2), torch.randn(40, 2)
    for points, paired in zip((x, y), match_optimally(x, y)):
        assert torch.equal(points.sort(0).values, paired.sort(0).values)


def test_that_the_number_of_points_is_limited_and_less_is_better():
    x, y = torch.randn(30, 2), torch.randn(25, 2)
    assert w1(x, y, n=20) == w1(x[:20], y[:20])
    assert w1(x, y) == w1(x[:25], y)
    assert directions_of(optimal_transport) == {"wasserstein": min}
