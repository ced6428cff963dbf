"""Metrics of critics, with critics that are exactly right, right up to a constant, and wrong by a known amount."""

import math

import pytest
import torch
from torch import nn

from gan_runner.errors import ConfigError
from gan_runner.losses.bernoulli import Minimax
from gan_runner.losses.density_ratios import KLIEP, LSIF
from gan_runner.losses.f_divergences import KL, Pearson, TotalVariation
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.relativistic import RelativisticAverage
from gan_runner.losses.wasserstein import Wasserstein
from gan_runner.metrics.critic import divergence, log_ratio, order, sign, transport
from gan_runner.metrics.optimal_transport import match_optimally, optimal_transport
from gan_runner.metrics.push import push
from gan_runner.metrics.results import Reference, Results
from gan_runner.requirements import check_requirements

GAUSSIANS = ["dataset=gaussian", "model=gaussian", "model.generator.mean=[-0.3,0.0]", "model.generator.std=0.95"]


class GivenCritic(nn.Module):
    """A critic by its function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def features(self, x):
        return x

    def score(self, features, x):
        return self.function(x)

    def forward(self, x):
        return self.function(x)


@pytest.fixture
def results(make_system):
    """Results of two Gaussians for a loss, and a critic given as a function of the true log ratio and the point."""

    def of(loss, critic, n=20_000):
        system = make_system(*GAUSSIANS)
        system.loss = loss
        p, q = system.dataset.log_prob, system.networks["generator"].log_prob
        system.networks["discriminator"] = GivenCritic(lambda x: critic(p(x) - q(x), x))
        return Results(system, system.noise(n, 0), Reference(system.dataset, n, system.device))

    return of


@pytest.mark.parametrize("loss", [Minimax(), Minimax(0.9, 0.1), KL(), Pearson(), LSIF()], ids=repr)
def test_an_optimal_critic_errs_by_nothing(results, loss):
    assert log_ratio(results(loss, lambda r, x: loss.optimal_score(r)))["log_ratio_error"] < 1e-4


def test_error_is_in_nats(results):
    assert log_ratio(results(Minimax(), lambda r, x: r + 0.25))["log_ratio_error"] == pytest.approx(0.25, abs=2e-3)


def test_a_constant_does_not_matter_to_a_relative_loss(results):
    assert log_ratio(results(KLIEP(), lambda r, x: r + 7))["log_ratio_error"] < 0.02  # of E_q[p/q] on the samples


def test_infinite_ratios_count_as_the_limit(results):
    worst = log_ratio(results(Minimax(), lambda r, x: torch.full_like(r, math.inf)), limit=4.0)
    assert 3 < worst["log_ratio_error"] < 5


def test_sign_is_all_that_is_asked(results):
    assert sign(results(Hinge(), lambda r, x: r.sign()))["sign_error"] == 0
    assert sign(results(Hinge(), lambda r, x: -r))["sign_error"] == 1
    assert sign(results(TotalVariation(), lambda r, x: r**3))["sign_error"] == 0


def test_order_is_all_that_is_asked(results):
    assert order(results(RelativisticAverage(), lambda r, x: (3 * r).exp()))["order_error"] < 1e-9
    assert order(results(RelativisticAverage(), lambda r, x: -r))["order_error"] == pytest.approx(2)


def test_bound_of_an_optimal_critic_is_the_divergence(results):
    for loss in (KL(), TotalVariation(), LSIF()):
        sharpened = 50 if isinstance(loss, TotalVariation) else 1
        score = getattr(loss, "optimal_score", lambda r: r)
        critic = lambda r, x, o=score, s=sharpened: o(s * r)  # noqa: E731
        assert divergence(results(loss, critic, 200_000))["divergence_gap"] < 0.02


def test_bound_of_a_useless_critic_misses_all_of_it(results):
    assert divergence(results(KL(), lambda r, x: torch.ones_like(r)))["divergence_gap"] == pytest.approx(1)


def test_quadrature_is_the_closed_form(results):
    """KL(p‖q) between isotropic Gaussians in the plane: 2 log(σ_q/σ_p) + (2σ_p² + |μ|²) / (2σ_q²) − 1."""
    kl = 2 * math.log(0.95) + (2 + 0.64) / (2 * 0.95**2) - 1
    shown = results(KL(), lambda r, x: torch.full_like(r, 1.0))  # bound 0
    bound = results(KL(), lambda r, x: 1 + r, 400_000)
    value = -KL().discriminator(type("S", (), {"real": bound.real_scores, "fake": bound.fake_scores}))
    assert value == pytest.approx(kl, rel=0.01)
    assert divergence(shown)["divergence_gap"] == pytest.approx(1)


def test_optimal_transport_in_one_dimension_sorts():
    x, y = torch.randn(50, 1), torch.randn(50, 1) + 1
    a, b = match_optimally(x, y)
    assert (a - b).abs().mean() == pytest.approx((x.sort(0).values - y.sort(0).values).abs().mean().item(), rel=1e-5)


def test_optimal_transport_of_a_shift_is_the_shift(results):
    shown = results(Wasserstein(), lambda r, x: x[:, 0])
    shown.given(samples=shown.real + torch.tensor([0.3, 0.4]))
    assert optimal_transport(shown, n=400)["wasserstein"] == pytest.approx(0.5, rel=1e-4)


def test_transport_gap_of_the_potential_of_a_shift_is_zero_whatever_its_slope(results):
    for slope in (0.01, 1.0, 30.0):
        shown = results(Wasserstein(), lambda r, x, s=slope: s * x[:, 0])
        shown.given(samples=shown.real - torch.tensor([0.5, 0.0]))
        assert transport(shown, n=300)["transport_gap"] == pytest.approx(0, abs=1e-4)


def test_no_critic_beats_its_slope(results):
    for critic in (lambda r, x: x.sin().sum(1), lambda r, x: (x[:, 0] * 3).tanh(), lambda r, x: r):
        assert transport(results(Wasserstein(), critic), n=500)["transport_gap"] > 0


def test_transport_is_of_points_alone(make_system):
    with pytest.raises(ValueError, match=r"it needs points, and this data has shape \[1, 16, 16\]; leave it out"):
        check_requirements(transport, make_system("dataset=digits", "model=mlp", "loss=wgan"))


def test_push_is_the_gradient_that_the_generator_gets(results):
    """Under the Wasserstein loss with a linear critic, −∂(−E[a·x])/∂μ = a and ∂/∂log σ has mean a · E[σz] = 0."""
    shown = results(Wasserstein(), lambda r, x: 3 * x[:, 0] + 4 * x[:, 1], 100_000)
    figures = push(shown)
    assert figures["push"] == pytest.approx(5, abs=0.05)
    assert figures["critic_value"] == pytest.approx(3 * 0.8, abs=0.05)


@pytest.mark.parametrize(
    ("metric", "options", "why"),
    [
        (log_ratio, ["dataset=digits", "model=mlp"], "no known density; choose dataset=gaussian"),
        (log_ratio, ["dataset=gaussian", "model=mlp"], "no known density; choose model=gaussian"),
        (
            log_ratio,
            [*GAUSSIANS, "loss=hinge"],
            "critic identifies a ratio or relative, and this one identifies a sign",
        ),
        (sign, [*GAUSSIANS, "loss=wgan"], "critic identifies a sign, and this one identifies a potential"),
        (divergence, [*GAUSSIANS, "loss=hinge"], "bounds an f-divergence"),
        (transport, [*GAUSSIANS, "loss=hinge"], "identifies a potential"),
    ],
)
def test_that_unsuitable_systems_are_refused(make_system, metric, options, why):
    with pytest.raises(ValueError, match=why):
        check_requirements(metric, make_system(*options))


def test_a_line_of_it_reaches_the_user(gan_run):
    code, _, err = gan_run("dataset=ring8", "model=mlp", "metric=[log_ratio]", "objective=log_ratio_error")
    assert code == 2
    assert err == "gan-run: metric=log_ratio: this generator has no known density; choose model=gaussian\n"
    assert ConfigError
