"""Rejection and reweighting with a critic that is exactly right: samples then follow the data's density."""

import copy

import pytest
import torch
from combinations import overrides
from conftest import TINY
from methods import Drawn
from torch import nn

from gan_runner.cli.sample import main as gan_sample
from gan_runner.datasets.base import Batches
from gan_runner.errors import ConfigError
from gan_runner.sampling import rejection
from gan_runner.sampling.critic import has_unconditional_critic, score
from gan_runner.sampling.rejection import acceptance_logit, effective_sample_size, importance_weights, rejection_samples
from gan_runner.system import eval_mode

GAUSSIANS = ["dataset=gaussian", "model=gaussian", "model.generator.mean=[-0.5,0.0]", "model.generator.std=1.2"]


@pytest.fixture
def system(make_system, monkeypatch):
    """p = N((½, 0), 1), q = N((−½, 0), 1.2²), and a critic whose score is log p/q plus a constant."""
    system = make_system(*GAUSSIANS, "loss=relativistic")
    p, q = system.dataset.log_prob, system.networks["generator"].log_prob
    monkeypatch.setattr(rejection, "score", lambda system, x, rows: (p(x) - q(x) + 3).detach())
    return system


def test_accepted_samples_follow_the_data(system):
    samples, share = rejection_samples(system, 20_000, seed=0)
    assert samples.shape == (20_000, 2)
    torch.testing.assert_close(samples.mean(0), torch.tensor([0.5, 0.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.ones(2), atol=0.03, rtol=0)
    greatest = (system.dataset.log_prob(samples) - system.networks["generator"].log_prob(samples)).max().exp()
    assert share == pytest.approx(1 / greatest.item(), rel=0.1)  # of rejection sampling with that ceiling


def test_the_same_seed_accepts_the_same_samples(system):
    first, second, other = (rejection_samples(system, 50, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_gamma_is_stricter_or_laxer_and_zero_is_rejection_sampling():
    ratios, ceiling = torch.linspace(-5, -0.1, 20), torch.tensor(0.0)
    torch.testing.assert_close(acceptance_logit(ratios, ceiling, 0.0).sigmoid(), ratios.exp())
    assert (acceptance_logit(ratios, ceiling, 1.0) < acceptance_logit(ratios, ceiling, 0.0)).all()
    assert acceptance_logit(ceiling, ceiling, 0.0).sigmoid() == pytest.approx(1, abs=1e-5)


def test_weighted_samples_have_the_moments_of_the_data(system):
    rows = system.noise(50_000, 0)
    samples = system.sample(rows)
    weights = importance_weights(system, samples, rows)
    assert weights.sum() == pytest.approx(1)
    mean = weights @ samples.double()
    torch.testing.assert_close(mean, torch.tensor([0.5, 0.0], dtype=torch.float64), atol=0.03, rtol=0)
    variance = weights @ (samples.double() - mean).square()
    torch.testing.assert_close(variance, torch.ones(2, dtype=torch.float64), atol=0.05, rtol=0)


def test_effective_sample_size_counts_equal_weights():
    assert effective_sample_size(torch.tensor([0.25] * 4)) == pytest.approx(4)
    assert effective_sample_size(torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(1)


@pytest.mark.parametrize("loss", ["hinge", "wgan_gp", "relativistic_average"])
def test_a_critic_that_knows_no_ratio_is_refused(make_system, loss):
    with pytest.raises(ConfigError, match=r"identifies a .*train with a loss such as non_saturating"):
        rejection_samples(make_system(*GAUSSIANS, f"loss={loss}"), 4, 0)


@pytest.mark.parametrize("game", ["aae", "vae"])
def test_where_nobody_judges_samples_it_is_refused(make_system, game):
    """Nor does a critic of codes."""
    system = make_system(f"game={game}", "dataset=ring8", "model=mlp", *TINY["mlp"])
    with pytest.raises(ConfigError, match="this run has none; train with one"):
        rejection_samples(system, 4, 0)


def test_too_strict_a_gamma_gives_up_in_one_line(system, monkeypatch):
    monkeypatch.setattr("gan_runner.sampling.rejection.PATIENCE", 3000)
    with pytest.raises(ConfigError, match="choose a smaller --gamma than 60"):
        rejection_samples(system, 10, 0, gamma=60.0)


def test_infinite_ratios_are_cut(make_system, monkeypatch):
    """Least squares implies an infinite ratio of every score beyond its targets."""
    system = make_system(*GAUSSIANS, "loss=lsgan")
    monkeypatch.setattr(rejection, "score", lambda system, x, rows: x[:, 0])
    rows = system.noise(500, 0)
    weights = importance_weights(system, system.sample(rows), rows)
    assert weights.isfinite().all()
    assert weights.sum() == pytest.approx(1)
    samples, _ = rejection_samples(system, 100, 0)
    assert (samples[:, 0] > 0.99).all()  # those of the greatest ratio


def test_a_critic_that_is_told_conditions_judges_each_sample_beside_its_own(make_system):
    """x ~ N(0, 1) of the generator whatever the label, of the data N(±½, 1): log p/q = ± x / 2 − ⅛."""
    system = make_system(*overrides("mlp", "non_saturating", None, "points", "game=conditional"))
    two = {"data": torch.zeros(4, 2), "label": torch.tensor([0, 1, 0, 1])}
    system.game.prepare(system.networks, Drawn(two), 4)
    system.sample = lambda rows: rows[:, :2]  # two of the latents
    sides = torch.tensor([-0.5, 0.5, *[0.0] * 6])  # of the eight labels
    system.networks["discriminator"] = Conditional(lambda x, condition: condition @ sides * x[:, 0] - 0.125)
    assert not has_unconditional_critic(system)
    rows = system.noise(40_000, 0)
    samples = system.sample(rows)
    side, weights = rows[:, -8:] @ sides, importance_weights(system, samples, rows)
    assert weights @ (side * samples[:, 0]).double() == pytest.approx(0.25, abs=0.02)
    accepted, _ = rejection_samples(system, 20_000, 0)
    assert accepted.mean(0).tolist() == pytest.approx([0, 0], abs=0.03)
    assert accepted.var(0).tolist() == pytest.approx([1.25, 1], rel=0.04)  # of a mixture with means ±½


class Conditional(nn.Module):
    """A critic by its function, of points and conditions."""

    needs_condition = True

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, condition):
        return self.function(x, condition)


SCORED_BY_BATCH = {
    "batch norm": ["model.discriminator.norm=batch"],
    "minibatch discrimination": ["model.discriminator.norm=none", "regularizer=[minibatch_discrimination]"],
    "both, with a condition": ["regularizer=[minibatch_discrimination]", "game=conditional"],
}


@pytest.mark.parametrize("options", SCORED_BY_BATCH.values(), ids=SCORED_BY_BATCH)
def test_samples_have_the_scores_that_the_critic_is_trained_on(make_system, options):
    system = make_system("dataset=ring8", "model=mlp", *TINY["mlp"], "model.discriminator.norm=batch", *options)
    batches = Batches(system.dataset.load(system.device), system.batch_size, 0)
    for _ in range(3):
        system.step(batches)
    turns = [system.game.turn(system.networks, ("discriminator",), next(batches)) for _ in range(2)]
    state = copy.deepcopy(system.networks["discriminator"].state_dict())
    rows = [torch.cat([turn.noise, *turn.computed("rows").values()], 1) for turn in turns]
    if options[-1] == "game=conditional":
        rows = [torch.cat([turn.noise, turn.condition], 1) for turn in turns]
    fakes = [turn.fake for turn in turns]
    scores = score(system, torch.cat(fakes), torch.cat(rows))
    assert all(torch.equal(state[name], value) for name, value in system.networks["discriminator"].state_dict().items())
    assert all(module.training for module in system.networks["discriminator"].modules())
    torch.testing.assert_close(scores, torch.cat([turn.fake_scores for turn in turns]))
    with eval_mode(system.networks):
        assert not torch.allclose(scores[:4], system.game.score(system.networks, fakes[0][:4], rows[0][:4]), rtol=1e-2)


def test_a_last_batch_is_filled_up_with_the_first_points(make_system):
    system = make_system("dataset=ring8", "model=mlp", *TINY["mlp"], "model.discriminator.norm=batch", batch_size=8)
    x = torch.randn(11, 2)
    torch.testing.assert_close(score(system, x)[8:], score(system, torch.cat([x[8:], x[:5]]))[:3])


def test_strictness_without_rejection_is_refused(gan_run, capfd):
    gan_run("experiment=smoke", "trainer.steps=2", "logger.mode=disabled", "hydra.run.dir=run")
    with pytest.raises(SystemExit):
        gan_sample(["run", "--gamma", "1"])
    assert "add --reject" in capfd.readouterr().err
