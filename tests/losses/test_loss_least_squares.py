"""Least squares: the optimal score is the mean target, and the generator minimises Pearson's χ²."""

import math

import pytest
import torch
from pointwise import LOG_P, LOG_Q, OnlyFake, P, Q, Scores, fake_slopes, optimal_scores
from torch.distributions import Normal

from gan_runner.losses.least_squares import LeastSquares

TARGETS = [(1.0, 0.0), (1.0, -1.0), (0.9, 0.1), (3.0, 2.0)]


@pytest.mark.parametrize(("real", "fake"), TARGETS)
def test_optimal_score_is_the_mean_target(real, fake):
    optimum = optimal_scores(LeastSquares(real, fake), P, Q)
    torch.testing.assert_close(optimum, (real * P + fake * Q) / (P + Q), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("real", "fake"), TARGETS)
def test_log_ratio_of_the_optimum_is_that_of_the_densities(real, fake):
    loss = LeastSquares(real, fake)
    torch.testing.assert_close(loss.log_ratio(optimal_scores(loss, P, Q)), LOG_P - LOG_Q, rtol=0, atol=1e-8)


def test_log_ratio_is_infinite_outside_the_targets():
    scores = torch.tensor([-7.0, 0.0, 1.0, 7.0])
    assert LeastSquares().log_ratio(scores).tolist() == [-math.inf, -math.inf, math.inf, math.inf]


def test_hand_value():
    scores = Scores(torch.tensor([1.0, 3.0]), torch.tensor([2.0]))
    assert LeastSquares(1.0, 0.0).discriminator(scores).item() == pytest.approx((0 + 4) / 2 / 2 + 4 / 2)
    assert LeastSquares(1.0, 0.0, 5.0).generator(scores).item() == pytest.approx(9 / 2)


def test_generator_gradient_is_proportional_to_the_distance():
    scores = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(fake_slopes(LeastSquares(generator_target=0.5), scores), scores - 0.5)


def test_targets_minus_one_one_zero_give_pearson_chi_squared():
    """Theorem of Section 3.2: b − c = 1 and b − a = 2 make 2 C(G) = χ²(p + q ‖ 2q) = ∫ (p − q)² / (p + q)."""
    grid = torch.linspace(-9, 9, 361, dtype=torch.float64)
    p, q = Normal(-0.5, 1.0).log_prob(grid).exp(), Normal(0.5, 0.8).log_prob(grid).exp()
    loss = LeastSquares(1.0, -1.0, 0.0)
    costs = [loss.generator(OnlyFake(score)) for score in optimal_scores(loss, p, q).split(1)]
    criterion = torch.trapezoid((p + q) * torch.stack(costs), grid)
    torch.testing.assert_close(2 * criterion, torch.trapezoid((p - q).square() / (p + q), grid))


def test_scores_of_100_stay_finite():
    ends = torch.tensor([-100.0, 100.0])
    assert LeastSquares().discriminator(Scores(ends, ends)).isfinite()
    assert fake_slopes(LeastSquares(), ends).tolist() == [-101.0, 99.0]


@pytest.mark.parametrize(("real", "fake"), [(1.0, 1.0), (0.0, 1.0), (math.nan, 0.0)])
def test_targets_in_the_wrong_order_are_refused(real, fake):
    with pytest.raises(ValueError, match="real_target must exceed fake_target"):
        LeastSquares(real, fake)


def test_optimal_score_at_infinite_ratios_is_a_target():
    assert LeastSquares(3.0, 2.0).optimal_score(torch.tensor([-math.inf, math.inf])).tolist() == [2.0, 3.0]
