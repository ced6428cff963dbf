"""Scoring rules: the costs of Table 1, properness, and the values of the games."""

import math

import pytest
import torch
from gaussians import P, Q, discriminator_cost, gaussian, generator_slopes, hellinger, log_ratio, power, slopes, weights
from pointwise import OnlyFake, Scores, fake_slopes, optimal_scores

from gan_runner.losses.scoring_rules import Exponential, Misclassification, Spherical


def norm(d):
    return (1 - 2 * d + 2 * d**2) ** -0.5


TABLE_1 = {  # Mohamed & Lakshminarayanan 2016: the costs of a real sample and of a fake as functions of D
    Exponential: (lambda d: ((1 - d) / d) ** 0.5, lambda d: (d / (1 - d)) ** 0.5),
    Spherical: (lambda d: -norm(d) * d, lambda d: -norm(d) * (1 - d)),
    Misclassification: (lambda d: (d <= 0.5).double(), lambda d: (d > 0.5).double()),
}
SCORES = torch.linspace(-6, 6, 24, dtype=torch.float64)  # none of them zero
every_rule = pytest.mark.parametrize("rule", TABLE_1)
every_smooth_rule = pytest.mark.parametrize("rule", [Exponential, Spherical])


@every_rule
def test_costs_are_those_of_the_table(rule):
    real_cost, fake_cost = TABLE_1[rule]
    for score in SCORES:
        cost = rule().discriminator(Scores(score[None], SCORES))
        torch.testing.assert_close(cost, real_cost(score.sigmoid()) + fake_cost(SCORES.sigmoid()).mean())


@every_rule
def test_generator_cost_of_a_fake_is_that_of_a_real_sample_with_its_score(rule):
    real_cost, _ = TABLE_1[rule]
    torch.testing.assert_close(rule().generator(OnlyFake(SCORES)), real_cost(SCORES.sigmoid()).mean())


@every_rule
def test_saturating_generator_plays_the_zero_sum_game(rule):
    loss, real = rule(saturating=True), torch.randn(9, dtype=torch.float64)
    paid = loss.discriminator(Scores(real, SCORES)) + loss.generator(OnlyFake(SCORES))
    torch.testing.assert_close(paid, TABLE_1[rule][0](real.sigmoid()).mean())


def expected_costs(loss, probability):
    """The expected cost of each score for a sample that is real with this probability, up to a constant."""
    nothing = torch.zeros(1, dtype=torch.float64)
    as_real = torch.stack([loss.discriminator(Scores(score[None], nothing)) for score in SCORES])
    as_fake = torch.stack([loss.discriminator(Scores(nothing, score[None])) for score in SCORES])
    return probability * as_real + (1 - probability) * as_fake


@every_smooth_rule
@pytest.mark.parametrize("probability", [0.02, 0.3, 0.5, 0.9])
def test_true_probability_has_the_least_cost(rule, probability):
    costs, truth = expected_costs(rule(), probability), math.log(probability / (1 - probability))
    assert (costs[truth > SCORES].diff() < 0).all()
    assert (costs[truth < SCORES].diff() > 0).all()
    chance = torch.tensor([probability], dtype=torch.float64)
    assert optimal_scores(rule(), chance, 1 - chance).item() == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("probability", [0.02, 0.3, 0.9])
def test_every_score_of_the_right_sign_makes_the_fewest_errors(probability):
    excess = expected_costs(Misclassification(), probability)
    excess = excess - excess.min()
    right = SCORES.sign() == (1 if probability > 0.5 else -1)
    assert excess[right].max() < 1e-12
    torch.testing.assert_close(excess[~right], torch.full_like(excess[~right], abs(2 * probability - 1)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_misclassification_counts_errors_and_has_the_gradient_of_a_sigmoid(temperature):
    loss, score = Misclassification(temperature=temperature), SCORES.clone().requires_grad_()
    (ramp,) = torch.autograd.grad((1 / (1 + (score / temperature).exp())).sum(), score)
    torch.testing.assert_close(fake_slopes(loss, SCORES), ramp)
    assert loss.generator(OnlyFake(SCORES[:15])).item() == 12 / 15


def test_undecided_scores_cost_one_half():
    nothing = torch.zeros(3)
    assert Misclassification().discriminator(Scores(nothing, nothing)).item() == 1
    assert fake_slopes(Misclassification(), nothing).tolist() == [-0.25] * 3


def discriminator_at_optimum(rule, q=Q):
    return discriminator_cost(rule(), log_ratio(q=q), weights(P), weights(q))


def test_value_of_the_exponential_game_is_the_hellinger_distance():
    torch.testing.assert_close(discriminator_at_optimum(Exponential), 2 * power(0.5, P, Q))
    pull = generator_slopes(Exponential(saturating=True), lambda score: score)
    torch.testing.assert_close(pull, slopes(lambda q: hellinger(P, q)))


def test_value_of_the_spherical_game_is_the_norm_of_the_densities():
    """The value is ∫ (p² + q²)^½; its minimum √2 is at p = q."""

    def length(q):
        return (weights(P).square() + weights(q).square()).sqrt().sum()

    torch.testing.assert_close(discriminator_at_optimum(Spherical), -length(Q))
    assert length(P).item() == pytest.approx(math.sqrt(2))
    torch.testing.assert_close(generator_slopes(Spherical(saturating=True), lambda score: score), slopes(length))


def test_value_of_the_misclassification_game_is_the_overlap():
    """The value is 1 − TV; for two Gaussians of scale one 2Φ(−|Δ| / 2)."""
    shifted = gaussian(0.51, 1.0)  # the densities cross between two points of the grid
    overlap = 2 * P.cdf(-shifted.loc / 2)
    torch.testing.assert_close(discriminator_at_optimum(Misclassification, shifted), overlap, rtol=1e-5, atol=0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        Misclassification(temperature=temperature)
