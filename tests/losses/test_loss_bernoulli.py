"""Minimax and non-saturating losses: optima, value, gradients, and extreme scores."""

import math

import pytest
import torch
from pointwise import LOG_P, LOG_Q, OnlyFake, P, Q, Scores, fake_slopes, optimal_scores
from scipy.spatial.distance import jensenshannon

from gan_runner.losses.bernoulli import Minimax, NonSaturating

TARGETS = [(1.0, 0.0), (0.9, 0.0), (1.0, 0.1), (0.9, 0.2)]
either = pytest.mark.parametrize("game", [Minimax, NonSaturating])


@either
@pytest.mark.parametrize(("real", "fake"), TARGETS)
def test_optimal_discriminator_is_the_smoothed_posterior(game, real, fake):
    optimum = optimal_scores(game(real, fake), P, Q).sigmoid()
    torch.testing.assert_close(optimum, (real * P + fake * Q) / (P + Q), rtol=0, atol=1e-10)


@either
@pytest.mark.parametrize(("real", "fake"), TARGETS)
def test_log_ratio_of_the_optimum_is_that_of_the_densities(game, real, fake):
    loss = game(real, fake)
    torch.testing.assert_close(loss.log_ratio(optimal_scores(loss, P, Q)), LOG_P - LOG_Q, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("real", "fake"), [(1.0, 0.1), (0.9, 0.0)])
def test_log_ratio_is_precise_for_confident_discriminators(real, fake):
    sure = torch.tensor([17.0, 40.0, 80.0]) * (1 if real == 1 else -1)
    # D → 1: log (1 − β) / (1 − D); D → 0: log D / α.
    limit = sure + math.log(1 - fake) if real == 1 else sure - math.log(real)
    torch.testing.assert_close(Minimax(real, fake).log_ratio(sure), limit, rtol=1e-5, atol=0)


def test_log_ratio_is_infinite_outside_the_targets():
    scores = torch.tensor([-100.0, -3.0, 3.0, 100.0])
    assert Minimax(0.9, 0.1).log_ratio(scores).tolist() == [-math.inf, -math.inf, math.inf, math.inf]


def test_value_is_minus_log_4_where_the_model_equals_the_data():
    scores = optimal_scores(Minimax(), P, P)
    value = -Minimax().discriminator(Scores(scores, scores))
    assert value.item() == pytest.approx(-math.log(4), abs=1e-12)
    for _ in range(20):  # and no other discriminator does better
        other = scores + 0.1 * torch.randn_like(scores)
        assert -Minimax().discriminator(Scores(other, other)) < value


def test_value_of_the_game_measures_the_jensen_shannon_divergence():
    p, q = torch.tensor([5, 2, 1], dtype=torch.float64), torch.tensor([1, 1, 6], dtype=torch.float64)
    scores = optimal_scores(Minimax(), p, q)
    drawn = Scores(scores.repeat_interleave(p.long()), scores.repeat_interleave(q.long()))
    divergence = jensenshannon(p / 8, q / 8) ** 2
    assert -Minimax().discriminator(drawn).item() == pytest.approx(2 * divergence - math.log(4), abs=1e-10)


def test_minimax_is_zero_sum():
    real, fake = torch.randn(9), torch.randn(9, requires_grad=True)
    total = Minimax().discriminator(Scores(real, fake)) + Minimax().generator(OnlyFake(fake))
    (slope,) = torch.autograd.grad(total, fake)
    torch.testing.assert_close(slope, torch.zeros(9), rtol=0, atol=1e-7)


def test_minimax_generator_saturates_and_the_other_does_not():
    scores = torch.linspace(-30, 30, 61, dtype=torch.float64)
    torch.testing.assert_close(fake_slopes(Minimax(), scores), -1 / (1 + (-scores).exp()))
    torch.testing.assert_close(fake_slopes(NonSaturating(), scores), -1 / (1 + scores.exp()))
    found_out = torch.tensor([-30.0])
    assert fake_slopes(Minimax(), found_out).abs() < 1e-12
    assert fake_slopes(NonSaturating(), found_out).item() == pytest.approx(-1)


def test_generators_agree_where_the_discriminator_is_undecided():
    nothing = torch.zeros(4)
    assert Minimax().generator(OnlyFake(nothing)).item() == pytest.approx(-math.log(2))
    assert NonSaturating().generator(OnlyFake(nothing)).item() == pytest.approx(math.log(2))
    torch.testing.assert_close(fake_slopes(Minimax(), nothing), fake_slopes(NonSaturating(), nothing))


@either
def test_scores_of_100_have_losses_of_100(game):
    right = Scores(torch.tensor([100.0]), torch.tensor([-100.0]))
    wrong = Scores(torch.tensor([-100.0]), torch.tensor([100.0]))
    assert game().discriminator(right).item() == pytest.approx(0, abs=1e-30)
    assert game().discriminator(wrong).item() == pytest.approx(200)
    assert game(0.9, 0.1).discriminator(right).item() == pytest.approx(20)
    generator = {Minimax: (0, -100), NonSaturating: (100, 0)}[game]
    assert game().generator(right).item() == pytest.approx(generator[0], abs=1e-30)
    assert game().generator(wrong).item() == pytest.approx(generator[1], abs=1e-30)


@either
def test_slopes_at_100_are_bounded_by_one(game):
    ends = torch.tensor([-100.0, 100.0])
    assert fake_slopes(game(), ends).abs().max().item() == pytest.approx(1)


@either
@pytest.mark.parametrize(("real", "fake"), [(1.0, 1.0), (0.1, 0.9), (1.1, 0.0), (1.0, -0.1), (math.nan, 0.0)])
def test_targets_that_are_not_probabilities_are_refused(game, real, fake):
    with pytest.raises(ValueError, match="targets are probabilities"):
        game(real, fake)


@pytest.mark.parametrize(("real", "fake"), [(1.0, 0.1), (0.9, 0.0)])
def test_optimal_score_of_smoothed_labels_is_precise_in_single_precision(real, fake):
    log_ratio = torch.tensor([-1.0, 0.0, 17.0, 40.0, 80.0]) * (1 if real == 1 else -1)
    loss = Minimax(real, fake)
    torch.testing.assert_close(loss.log_ratio(loss.optimal_score(log_ratio)), log_ratio, rtol=1e-4, atol=1e-5)


@either
def test_optimal_score_of_smoothed_labels_at_infinite_ratios_is_that_of_the_targets(game):
    ends = game(0.9, 0.2).optimal_score(torch.tensor([-math.inf, math.inf]))
    torch.testing.assert_close(ends.sigmoid(), torch.tensor([0.2, 0.9]))
