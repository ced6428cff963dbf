"""f-divergences: f, its conjugate, the bound and its optimum, and the generator's gradient there."""

import dataclasses
import math

import pytest
import torch
from gaussians import (
    P,
    Q,
    X,
    alpha,
    discriminator_cost,
    gaussian,
    generator_cost,
    generator_slopes,
    hellinger,
    jensen_shannon,
    kl,
    log_ratio,
    neyman,
    pearson,
    reverse_kl,
    slopes,
    weights,
)
from pointwise import OnlyFake, Scores, fake_slopes, optimal_scores

from gan_runner.losses.density_ratios import LSIF
from gan_runner.losses.f_divergences import (
    KL,
    Alpha,
    GANDivergence,
    Hellinger,
    JensenShannon,
    Neyman,
    Pearson,
    ReverseKL,
    TotalVariation,
    WeightedJensenShannon,
)


def f_alpha(a):
    return lambda u: (u**a - 1 - a * (u - 1)) / (a * (a - 1))


def f_pi(pi):
    return lambda u: pi * u * u.log() - (1 - pi + pi * u) * (1 - pi + pi * u).log()


F = {  # Nowozin et al. 2016, Tables 1 and 5; LSIF's: Mohamed & Lakshminarayanan 2016, Section 3.3
    KL(): lambda u: u * u.log(),
    ReverseKL(): lambda u: -u.log(),
    Pearson(): lambda u: (u - 1) ** 2,
    Neyman(): lambda u: (1 - u) ** 2 / u,
    Hellinger(): lambda u: (u.sqrt() - 1) ** 2,
    GANDivergence(): lambda u: u * u.log() - (u + 1) * (u + 1).log(),
    JensenShannon(): lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
    **{WeightedJensenShannon(pi=pi): f_pi(pi) for pi in (0.1, 0.5, 0.8)},
    **{Alpha(alpha=a): f_alpha(a) for a in (-1.0, -0.5, 0.3, 0.5, 1.5, 2.0, 3.0)},
    LSIF(): lambda u: (u - 1) ** 2 / 2,
}
F_OF_A_SIGN = {TotalVariation(): lambda u: (u - 1).abs() / 2}
TRUTH = {
    KL(): kl,
    ReverseKL(): reverse_kl,
    Pearson(): pearson,
    Neyman(): neyman,
    Hellinger(): hellinger,
    GANDivergence(): lambda p, q: 2 * jensen_shannon(0.5)(p, q) - math.log(4),
    JensenShannon(): lambda p, q: 2 * jensen_shannon(0.5)(p, q),
    **{WeightedJensenShannon(pi=pi): jensen_shannon(pi) for pi in (0.1, 0.5, 0.8)},
    **{Alpha(alpha=a): alpha(a) for a in (-1.0, -0.5, 0.3, 0.5, 1.5, 2.0, 3.0)},
    LSIF(): lambda p, q: pearson(p, q) / 2,
}
LOG_RATIOS = torch.linspace(-4, 4, 17, dtype=torch.float64)


def each(argument, truths):
    return pytest.mark.parametrize(("loss", argument), truths.items(), ids=map(str, truths))


every_f, every_smooth_f, every_truth = each("f", F | F_OF_A_SIGN), each("f", F), each("truth", TRUTH)


def close(found, expected, **tolerance):
    torch.testing.assert_close(found, expected, **({"rtol": 1e-8, "atol": 1e-10} | tolerance))


@every_f
def test_f_is_that_of_the_paper(loss, f):
    close(loss.f(LOG_RATIOS), f(LOG_RATIOS.exp()))


@every_f
def test_f_is_convex_and_zero_where_the_densities_agree(loss, f):
    u = torch.linspace(0.05, 6, 500, dtype=torch.float64)
    assert (loss.f(u.log()).diff().diff() >= -1e-14).all()
    at_one = -2 * math.log(2) if isinstance(loss, GANDivergence) else 0
    assert loss.f(torch.zeros(())).item() == pytest.approx(at_one, abs=1e-7)


@every_smooth_f
def test_witness_of_the_optimal_score_is_the_derivative_of_f(loss, f):
    u = LOG_RATIOS.exp().requires_grad_()
    (slope,) = torch.autograd.grad(f(u).sum(), u)
    close(loss.witness(loss.optimal_score(LOG_RATIOS)), slope)


@every_f
def test_conjugate_is_the_supremum_of_its_definition(loss, f):
    score = LOG_RATIOS if loss.identifies == "sign" else loss.optimal_score(LOG_RATIOS)
    u = torch.linspace(-12, 12, 240_001, dtype=torch.float64).exp()
    supremum = torch.stack([(u * witness - f(u)).max() for witness in loss.witness(score)])
    close(loss.conjugate(score), supremum, rtol=1e-6, atol=1e-6)


def test_below_minus_two_pearson_bounds_its_conjugate_from_above():
    """There the supremum of uT − f(u) over ratios u ≥ 0 is −f(0) = −1, and T²/4 + T is that over all u."""
    score = torch.linspace(-6, -2, 9)
    assert (Pearson().conjugate(score) >= -1).all()
    assert Pearson().log_ratio(torch.tensor([-2.5])).item() == -math.inf


@every_f
def test_witness_grows_with_the_score(loss, f):
    assert (loss.witness(torch.linspace(-5, 5, 101, dtype=torch.float64)).diff() > 0).all()


@every_smooth_f
def test_best_bound_is_the_divergence_of_a_distribution_over_three_points(loss, f):
    p, q = torch.tensor([5, 2, 1], dtype=torch.float64), torch.tensor([1, 1, 6], dtype=torch.float64)
    score = optimal_scores(loss, p, q)
    drawn = Scores(score.repeat_interleave(p.long()), score.repeat_interleave(q.long()))
    close(-loss.discriminator(drawn), (q / 8 * f(p / q)).sum())


@every_truth
def test_bound_at_the_optimum_is_the_divergence_of_gaussians(loss, truth):
    bound = -discriminator_cost(loss, loss.optimal_score(log_ratio()), weights(P), weights(Q))
    close(bound, truth(P, Q))
    close(bound, weights(Q) @ F[loss](log_ratio().exp()))


@every_truth
def test_bound_off_the_optimum_is_smaller(loss, truth):
    for _ in range(10):
        score = loss.optimal_score(log_ratio() + 0.1 * torch.randn_like(X))
        assert -discriminator_cost(loss, score, weights(P), weights(Q)) < truth(P, Q) - 1e-4


@every_truth
def test_generator_minimises_the_divergence(loss, truth):
    close(generator_slopes(loss, loss.optimal_score), slopes(lambda q: truth(P, q)), rtol=1e-6, atol=1e-8)


@every_truth
def test_plug_in_objective_equals_the_divergence(loss, truth):
    loss = dataclasses.replace(loss, objective="plug_in")
    close(generator_cost(loss, loss.optimal_score(log_ratio()), weights(Q)), truth(P, Q))


@every_truth
def test_gradient_of_the_plug_in_objective_is_that_of_the_divergence_for_reverse_kl_only(loss, truth):
    """The derivative by q is f(r) and not f(r) − r f′(r)."""
    plug_in = dataclasses.replace(loss, objective="plug_in")
    found, expected = generator_slopes(plug_in, loss.optimal_score), slopes(lambda q: truth(P, q))
    assert torch.allclose(found, expected, rtol=1e-6) == isinstance(loss, ReverseKL)


@every_smooth_f
def test_non_saturating_generator_minimises_minus_the_derivative_of_f(loss, f):
    u = LOG_RATIOS.exp().requires_grad_()
    (slope,) = torch.autograd.grad(f(u).sum(), u)
    loss = dataclasses.replace(loss, objective="non_saturating")
    close(loss.generator(OnlyFake(loss.optimal_score(LOG_RATIOS))), -slope.mean())


def total_variation(q):
    """The total variation between P and a Gaussian, both of scale one: 2Φ(|Δ| / 2) − 1."""
    return 2 * gaussian(0.0, 1.0).cdf((q.loc - P.loc).abs() / 2) - 1


SHIFTED = gaussian(0.51, 1.0)  # the densities cross between two points of the grid
SURE, UNSURE = 50 * log_ratio(q=SHIFTED).sign(), log_ratio(q=SHIFTED)


def test_bound_of_total_variation_is_tight_for_large_scores_of_the_right_sign():
    reached, missed = (
        -discriminator_cost(TotalVariation(), score, weights(P), weights(SHIFTED)) for score in (SURE, UNSURE)
    )
    close(reached, total_variation(SHIFTED), atol=1e-5)
    assert missed < reached - 0.01


def test_cost_of_the_total_variation_generator_changes_with_its_density_as_total_variation_does():
    q = gaussian(0.51, 1.0)
    q.loc.requires_grad_()
    (found,) = torch.autograd.grad(generator_cost(TotalVariation(), SURE, weights(q)), q.loc)
    (expected,) = torch.autograd.grad(total_variation(q), q.loc)
    close(found, expected, atol=1e-5)


def test_a_confident_critic_of_total_variation_gives_samples_no_gradient():
    assert fake_slopes(TotalVariation(), SURE).abs().max() < 1e-20


def bound(loss):
    return -discriminator_cost(loss, loss.optimal_score(log_ratio()), weights(P), weights(Q)).item()


@pytest.mark.parametrize(
    ("order", "value"),
    [
        (1 + 1e-6, lambda: kl(P, Q)),
        (1 - 1e-6, lambda: kl(P, Q)),
        (1e-6, lambda: reverse_kl(P, Q)),
        (-1e-6, lambda: reverse_kl(P, Q)),
        (2.0, lambda: pearson(P, Q) / 2),
        (-1.0, lambda: neyman(P, Q) / 2),
        (0.5, lambda: 2 * hellinger(P, Q)),
    ],
)
def test_alpha_divergence_has_the_others_as_special_cases(order, value):
    assert bound(Alpha(alpha=order)) == pytest.approx(value().item(), rel=1e-5)


def test_exchanging_the_densities_maps_alpha_to_one_minus_alpha():
    exchanged = -discriminator_cost(Alpha(alpha=0.7), -log_ratio(), weights(Q), weights(P))
    assert bound(Alpha(alpha=0.3)) == pytest.approx(exchanged.item(), rel=1e-9)


def test_pi_tends_to_either_kl_and_is_half_of_jensen_shannon_at_one_half():
    assert bound(WeightedJensenShannon(pi=0.5)) == pytest.approx(bound(JensenShannon()) / 2, rel=1e-9)
    assert bound(WeightedJensenShannon(pi=1e-5)) / 1e-5 == pytest.approx(kl(P, Q).item(), rel=1e-3)
    assert bound(WeightedJensenShannon(pi=1 - 1e-5)) / 1e-5 == pytest.approx(reverse_kl(P, Q).item(), rel=1e-3)


@pytest.mark.parametrize(("order", "choice"), [(0.0, "fgan_reverse_kl"), (1.0, "fgan_kl")])
def test_limits_of_alpha_are_refused(order, choice):
    with pytest.raises(ValueError, match=f"alpha={order:g}; choose .*{choice}"):
        Alpha(alpha=order)


@pytest.mark.parametrize("pi", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_pi_outside_zero_and_one_is_refused(pi):
    with pytest.raises(ValueError, match="pi must lie strictly between 0 and 1"):
        WeightedJensenShannon(pi=pi)


def test_total_variation_refuses_the_plug_in_objective():
    with pytest.raises(ValueError, match="objective=plug_in needs a density ratio"):
        TotalVariation(objective="plug_in")
