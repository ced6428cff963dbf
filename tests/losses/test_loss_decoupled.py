"""Decoupled losses: with any critic, the generator minimises the divergence of its aim."""

import math

import pytest
import torch
from gaussians import P, generator_slopes, jensen_shannon, kl, neyman, pearson, reverse_kl, slopes
from pointwise import OnlyFake, Scores, fake_slopes

from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.losses.decoupled import Decoupled
from gan_runner.losses.density_ratios import KLIEP, LSIF
from gan_runner.losses.f_divergences import KL, Alpha, JensenShannon, Neyman, Pearson, ReverseKL, TotalVariation
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.relativistic import Relativistic, RelativisticAverage
from gan_runner.losses.scoring_rules import Exponential, Misclassification, Spherical
from gan_runner.losses.wasserstein import Wasserstein

AIMS = {
    KL(): kl,
    ReverseKL(): reverse_kl,
    Pearson(): pearson,
    Neyman(): neyman,
    JensenShannon(): lambda p, q: 2 * jensen_shannon(0.5)(p, q),
    Minimax(): lambda p, q: 2 * jensen_shannon(0.5)(p, q),
}
CRITICS = [
    Minimax(),
    NonSaturating(1.0, 0.1),
    LeastSquares(),
    LeastSquares(1.0, -1.0),
    Exponential(),
    Spherical(),
    KL(),
    Pearson(),
    Alpha(alpha=0.3),
    LSIF(),
]
every_critic = pytest.mark.parametrize("critic", CRITICS, ids=str)


@every_critic
@pytest.mark.parametrize(("aim", "truth"), AIMS.items(), ids=map(str, AIMS))
def test_generator_minimises_the_divergence_of_its_aim_with_any_critic(critic, aim, truth):
    loss = Decoupled(critic, aim, max_log_ratio=25.0)
    found, expected = generator_slopes(loss, critic.optimal_score), slopes(lambda q: truth(P, q))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@every_critic
def test_discriminator_loss_and_log_ratio_are_the_critics(critic):
    loss, scores = Decoupled(critic, KL()), Scores(torch.rand(6), torch.rand(4))
    torch.testing.assert_close(loss.discriminator(scores), critic.discriminator(scores))
    torch.testing.assert_close(loss.log_ratio(scores.real), critic.log_ratio(scores.real))
    torch.testing.assert_close(loss.optimal_score(scores.real), critic.optimal_score(scores.real))


@every_critic
def test_an_aim_equal_to_the_critic_changes_nothing(critic):
    score = critic.optimal_score(torch.linspace(-5, 5, 11, dtype=torch.float64))
    torch.testing.assert_close(Decoupled(critic, critic).generator(OnlyFake(score)), critic.generator(OnlyFake(score)))


@every_critic
@pytest.mark.parametrize("aim", AIMS, ids=str)
def test_no_score_implies_more_than_the_largest_ratio(critic, aim):
    loss = Decoupled(critic, aim, max_log_ratio=4.0)
    score = torch.tensor([-50.0, -3.0, 0.0, 1.0, 7.0, 50.0, math.inf])
    most = aim.generator(OnlyFake(aim.optimal_score(torch.tensor([4.0]))))
    torch.testing.assert_close(loss.generator(OnlyFake(score[-1:])), most, rtol=1e-3, atol=1e-3)
    slope = fake_slopes(Decoupled(critic, aim), score[:-1])
    assert slope.isfinite().all()


@pytest.mark.parametrize("role", ["critic", "aim"])
@pytest.mark.parametrize(
    "stranger",
    [
        Hinge(),
        Wasserstein(),
        Misclassification(),
        TotalVariation(),
        KLIEP(),
        Relativistic(),
        RelativisticAverage(),
    ],
    ids=str,
)
def test_a_loss_without_a_ratio_is_refused(role, stranger):
    roles = {"critic": Minimax(), "aim": KL()} | {role: stranger}
    with pytest.raises(
        ValueError, match=rf"loss\.{role} must have log_ratio and optimal_score, and {type(stranger).__name__}"
    ):
        Decoupled(**roles)


@pytest.mark.parametrize("most", [0.0, -1.0, math.nan])
def test_largest_ratio_must_exceed_one(most):
    with pytest.raises(ValueError, match="max_log_ratio must be positive"):
        Decoupled(Minimax(), KL(), max_log_ratio=most)


@pytest.mark.parametrize("score", [-30.0, -11.0, 0.0, 5.0])
def test_gradient_of_a_confident_classifier_does_not_vanish(score):
    """With the same logistic loss for both players, it equals that loss for every score."""
    fake = torch.tensor([score], dtype=torch.float64, requires_grad=True)
    both, alone = Decoupled(NonSaturating(), NonSaturating()), NonSaturating()
    slopes = [torch.autograd.grad(loss.generator(OnlyFake(fake)), fake)[0] for loss in (both, alone)]
    torch.testing.assert_close(*slopes)


def test_fakes_beyond_the_targets_of_least_squares_have_a_gradient():
    fake = torch.tensor([-0.2, -0.01], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(Decoupled(LeastSquares(), ReverseKL()).generator(OnlyFake(fake)), fake)
    assert (slope < 0).all()
