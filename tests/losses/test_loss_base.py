"""Properties of every loss."""

import dataclasses

import pytest
import torch
from conftest import names_in
from gaussians import discriminator_cost
from omegaconf import OmegaConf
from pointwise import LOG_P, LOG_Q, OnlyFake, P, Q, Scores, optimal_scores

from gan_runner.config.instantiate import build
from gan_runner.config.paths import CONF
from gan_runner.losses.base import FakeScores, Loss
from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.losses.decoupled import Decoupled
from gan_runner.losses.energy import EBGAN
from gan_runner.losses.f_divergences import KL, Alpha, Pearson, ReverseKL, TotalVariation, WeightedJensenShannon
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.relativistic import Relativistic, RelativisticAverage
from gan_runner.losses.scoring_rules import Misclassification, Spherical

OTHERS = [
    NonSaturating(0.9, 0.1),
    LeastSquares(1.0, -1.0, 0.0),
    Spherical(saturating=True),
    WeightedJensenShannon(pi=0.2),
    Alpha(alpha=-1.0),
    Alpha(alpha=2.0),
    KL(objective="plug_in"),
    Pearson(objective="non_saturating"),
    Decoupled(Minimax(), KL()),
    Decoupled(LeastSquares(), ReverseKL()),
    Misclassification(temperature=2.0),
    EBGAN(),
]
"""Losses with other arguments than in their YAML files."""


def node_of(option):
    """The constructor call of an option of `loss`, with the losses nested in it."""
    content = OmegaConf.load(CONF / "loss" / f"{option}.yaml")
    node = content.get("loss", content)
    for base in content.pop("defaults", []):
        for place, name in () if isinstance(base, str) else base.items():
            if place.startswith("/loss@"):
                node[place.removeprefix("/loss@")] = node_of(name)
    return node


CHOSEN = [build("loss", node) for option in names_in("loss") if "_target_" in (node := node_of(option))]
LOSSES = [*dict.fromkeys([*(loss for loss in CHOSEN if isinstance(loss, Loss)), *OTHERS])]
"""Every loss of scores, once."""
RATIO = [loss for loss in LOSSES if loss.identifies == "ratio"]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)
INTERIOR_MINIMUM = [LeastSquares(1.0, -1.0, 0.0), KL(objective="plug_in")]
every_ratio_loss = pytest.mark.parametrize("loss", RATIO, ids=str)
READS_REAL = (Relativistic, RelativisticAverage)
IDENTIFIES = {
    "ratio": (
        "Minimax NonSaturating LeastSquares Exponential Spherical KL ReverseKL Pearson Neyman Hellinger GANDivergence "
        "JensenShannon WeightedJensenShannon Alpha LSIF Decoupled"
    ),
    "relative": "KLIEP Relativistic",
    "order": "RelativisticAverage",
    "sign": "Hinge Misclassification TotalVariation EBGAN",
    "potential": "Wasserstein BEGAN",
}
"""What the papers say that each identifies."""
KNOWN = " ".join(IDENTIFIES.values()).split()


@pytest.mark.parametrize("identifies", IDENTIFIES)
def test_losses_identify_what_papers_say(identifies):
    found = {type(loss).__name__ for loss in LOSSES if loss.identifies == identifies}
    assert found >= {*IDENTIFIES[identifies].split()}


@every_loss
def test_generator_reads_real_scores_only_if_relativistic(loss):
    if isinstance(loss, READS_REAL):
        with pytest.raises(AssertionError):
            loss.generator(OnlyFake(torch.rand(5)))
    else:
        assert loss.generator(OnlyFake(torch.rand(5))).isfinite()


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not isinstance(loss, Relativistic)], ids=str)
def test_losses_are_means_over_each_set(loss):
    real, fake = torch.rand(6, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    once, twice = Scores(real, fake), Scores(real.repeat(2).flip(0), fake.repeat(3).flip(0))
    torch.testing.assert_close(loss.discriminator(twice), loss.discriminator(once))
    torch.testing.assert_close(loss.generator(twice), loss.generator(once))


def has_interior_minimum(loss):
    """Whether the generator's cost of a fake has its minimum inside [−0.9, 0.9] and not at an end."""
    real = torch.zeros(1, dtype=torch.float64)
    costs = [loss.generator(Scores(real, real + tenths / 10)).item() for tenths in range(-9, 10)]
    return min(costs) < min(costs[0], costs[-1])


def test_only_these_generators_have_an_interior_minimum():
    assert [loss for loss in LOSSES if has_interior_minimum(loss) and type(loss).__name__ in KNOWN] == INTERIOR_MINIMUM


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not has_interior_minimum(loss)], ids=str)
def test_players_move_the_score_of_a_fake_in_opposite_directions(loss):
    fake = torch.linspace(0.2, 0.9, 7, dtype=torch.float64, requires_grad=True)
    scores = Scores(torch.full((7,), 0.1, dtype=torch.float64), fake)
    (raises,) = torch.autograd.grad(loss.discriminator(scores), fake)
    (lowers,) = torch.autograd.grad(loss.generator(scores), fake)
    assert (raises > 0).all()
    assert (lowers < 0).all()


@every_loss
def test_losses_have_the_methods_of_what_they_identify(loss):
    assert hasattr(loss, "log_ratio") == (loss.identifies in ("ratio", "relative"))
    assert hasattr(loss, "optimal_score") == (loss.identifies == "ratio")
    assert hasattr(loss, "sign") == (loss.identifies == "sign")


@every_ratio_loss
def test_optimal_score_and_log_ratio_are_inverse_at_the_optimum(loss):
    near = (LOG_P - LOG_Q).abs() < 3
    optimum, log_ratio = optimal_scores(loss, P, Q)[near], (LOG_P - LOG_Q)[near]
    torch.testing.assert_close(loss.log_ratio(optimum), log_ratio, rtol=0, atol=1e-7)
    torch.testing.assert_close(loss.optimal_score(log_ratio), optimum, rtol=1e-7, atol=1e-7)


@every_ratio_loss
def test_greater_scores_imply_greater_ratios(loss):
    assert (loss.optimal_score(torch.linspace(-6, 6, 50, dtype=torch.float64)).diff() > 0).all()


FEWEST = {
    Hinge(0.5): lambda p, q: torch.minimum(p, q).sum(),
    Misclassification(): lambda p, q: torch.minimum(p, q).sum(),
    TotalVariation(): lambda p, q: -(p - q).abs().sum() / 2,
}


@pytest.mark.parametrize(("loss", "least"), FEWEST.items(), ids=map(str, FEWEST))
def test_the_optimum_identifies_only_a_sign(loss, least):
    """It is also optimal for densities that differ a tenth as much: other ratios with the same signs."""
    p, q = P / P.sum(), Q / Q.sum()
    optimum = optimal_scores(loss, p, q)
    assert torch.equal(loss.sign(optimum), (p - q).sign())
    for difference in (p - q, (p - q) / 10):
        p_too, q_too = (p + q + difference) / 2, (p + q - difference) / 2
        torch.testing.assert_close(discriminator_cost(loss, optimum, p_too, q_too), least(p_too, q_too))


def squares(loss):
    """Whether T or f* is the square of a ratio or of its inverse, so exp(100) for a score of 50."""
    return isinstance(loss, Alpha) and loss.alpha in (-1.0, 2.0)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not squares(loss)], ids=str)
def test_scores_of_50_have_finite_losses_and_gradients_in_single_precision(loss):
    ends = torch.tensor([-50.0, 50.0])
    for real, fake in ((ends, ends), (ends, ends.flip(0))):
        scores = Scores(real.clone().requires_grad_(), fake.clone().requires_grad_())
        costs = [loss.discriminator(scores), loss.generator(scores)]
        assert all(cost.isfinite() for cost in costs)
        for cost in costs:
            slopes = torch.autograd.grad(cost, scores, materialize_grads=True)
            assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if squares(loss)], ids=str)
def test_squared_ratios_overflow_single_precision_above_exp_44_and_not_below(loss):
    for score, finite in ((44.0, True), (45.0, False)):
        ends = torch.tensor([-score, score])
        assert loss.discriminator(Scores(ends, ends)).isfinite() == finite


def test_fake_scores_raise_for_real_ones():
    with pytest.raises(AttributeError, match="only those of fakes are available"):
        _ = FakeScores(torch.zeros(2)).real


@every_loss
def test_losses_are_frozen_and_comparable(loss):
    for field in dataclasses.fields(loss):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(loss, field.name, 0.5)
    assert loss == dataclasses.replace(loss)
