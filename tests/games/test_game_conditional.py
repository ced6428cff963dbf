"""The conditional GAN: the optimal score, the terms, and the conditions of samples."""

import math

import numpy as np
import pytest
import torch
from combinations import overrides
from conftest import names_in
from methods import Drawn, batches_of
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from gan_runner.cli.sample import main as gan_sample
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.errors import ConfigError
from gan_runner.metrics.critic import order, transport
from gan_runner.metrics.push import push
from gan_runner.metrics.results import Reference, Results
from gan_runner.models.conditions import LabelCondition
from gan_runner.models.heads import AuxiliaryHead, ConcatHead, MaxoutHead, ProjectionHead
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.plots.surfaces import critic_surface, sample_gradient_field
from gan_runner.requirements import check_requirements
from gan_runner.sampling.critic import has_unconditional_critic, score

HEADS = {
    "concat": lambda width: ConcatHead(width, 2, embedding=8, width=32),
    "maxout": lambda width: MaxoutHead(width, 2, embedding=8, width=24, dropout=0.0),
    "projection": lambda width: ProjectionHead(width, 2),
}
ATTRIBUTES = Attributes(("red", "green", "small", "round", "flat"), (("red", "green"), ("round", "flat")))


def conditional(make_system, *options, kind="points"):
    """A small conditional GAN, initialised, and one batch."""
    system = make_system(*overrides("mlp", "non_saturating", None, kind, "game=conditional", *options))
    batch = next(batches_of(system))
    system.game.prepare(system.networks, Drawn(batch), 8)
    return system, batch


@pytest.mark.parametrize("head", HEADS)
def test_optimal_score_is_the_log_ratio_of_the_conditional_densities(head):
    """p(x|y) = N(μ_y, ½²) for μ = −1, 1 against q(x|y) = N(0, 1), so that y makes a difference."""
    torch.manual_seed(0)
    means = torch.tensor([-1.0, 1.0])
    critic = MLPDiscriminator((1,), 32, 2, "leaky_relu", head=HEADS[head])
    descent = torch.optim.Adam(critic.parameters(), 5e-3)
    rate = torch.optim.lr_scheduler.LinearLR(descent, 1.0, 0.01, 400)

    def score(x, y):
        features = critic.features(x)
        return critic.score(features, x, nn.functional.one_hot(y, 2).float())

    def log_ratio(x, y):
        p, q = torch.distributions.Normal(means[y], 0.5), torch.distributions.Normal(0.0, 1.0)
        return p.log_prob(x[:, 0]) - q.log_prob(x[:, 0])

    for _ in range(400):
        y = torch.randint(2, (256,))
        real, fake = means[y].unsqueeze(1) + 0.5 * torch.randn(256, 1), torch.randn(256, 1)
        loss = softplus(-score(real, y)).mean() + softplus(score(fake, y)).mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
        rate.step()
    y = torch.arange(2).repeat_interleave(100)
    x = torch.linspace(-1, 1, 100).repeat(2).unsqueeze(1)
    error = (score(x, y) - log_ratio(x, y)).abs().mean()
    assert error < 0.3
    assert (score(x, 1 - y) - log_ratio(x, y)).abs().mean() > 1.5  # the other label gives another score


def test_projection_is_an_inner_product_plus_a_linear_score():
    torch.manual_seed(0)
    head, features, y = ProjectionHead(5, 3), torch.randn(4, 5), torch.eye(3)[[0, 1, 2, 1]]
    by_hand = features @ head.score.weight[0] + head.score.bias + (features * head.embed.weight.T[[0, 1, 2, 1]]).sum(1)
    torch.testing.assert_close(head(features, y).squeeze(1), by_hand)


def test_auxiliary_score_ignores_the_condition():
    head, features = AuxiliaryHead(5, 3), torch.randn(4, 5)
    assert torch.equal(head(features, torch.eye(3)[[0, 1, 2, 1]]), head(features, None))
    assert head.classify(features).shape == (4, 3)


def test_surprise_is_cross_entropy():
    torch.manual_seed(0)
    logits, label = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    classes = Classes(("a", "b", "c"))
    expected = cross_entropy(logits, label, reduction="none")
    torch.testing.assert_close(classes.negative_log_likelihood(logits, classes.vectors(label)), expected)
    assert classes.correct(logits, classes.vectors(label)).squeeze(1).equal(logits.argmax(1) == label)


def test_surprise_at_attributes_is_that_at_each_question():
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 5), torch.tensor([[1.0, 0, 1, 0, 1], [0, 1, 0, 1, 0]])
    expected = (
        cross_entropy(logits[:, :2], truth[:, :2].argmax(1), reduction="none")
        + cross_entropy(logits[:, 3:], truth[:, 3:].argmax(1), reduction="none")
        + binary_cross_entropy_with_logits(logits[:, 2], truth[:, 2], reduction="none")
    )
    torch.testing.assert_close(ATTRIBUTES.negative_log_likelihood(logits, truth), expected)
    sure = 10 * (2 * truth - 1)
    sure[0, 2] *= -1  # the first is wrong about its size only
    assert ATTRIBUTES.correct(sure, truth).tolist() == [[True, True, False], [True, True, True]]


def test_classification_terms_are_those_of_the_paper(make_system):
    system, batch = conditional(make_system, "method=ac_gan")
    critic, player = system.networks["discriminator"], system.players[0]
    turn = system.game.turn(system.networks, player.owned, batch)
    value = player.terms["classification"](turn)
    fake = system.networks["generator"](torch.cat([turn.noise, turn.condition], 1))
    by_hand = sum(cross_entropy(critic.classify(critic.features(x)), batch["label"]) for x in (batch["data"], fake))
    torch.testing.assert_close(value, by_hand)


@pytest.mark.parametrize("method", ["concat", "projection", "ac_gan"])
@pytest.mark.parametrize("loss", ["wgan_gp", "hinge", "lsgan"])
def test_every_method_trains_with_any_loss(make_system, method, loss):
    system = make_system(*overrides("mlp", loss, None, "points", "game=conditional", f"method={method}"))
    batches = batches_of(system)
    system.game.prepare(system.networks, Drawn(next(batches)), 8)
    before = {name: value.clone() for name, value in nn.ModuleDict(system.networks).state_dict().items()}
    report = system.step(batches)
    assert all(value.isfinite().all() for value in report.values())
    moved = [n for n, v in nn.ModuleDict(system.networks).state_dict().items() if not torch.equal(v, before[n])]
    assert any("head" in name for name in moved)
    assert any(name.startswith("generator") for name in moved)
    assert not any(name.startswith("condition.") for name in moved)


def test_samples_are_made_for_labels_of_the_data(make_system):
    system, batch = conditional(make_system)
    batch = {name: value[:4] for name, value in batch.items()} | {"label": torch.tensor([2, 2, 2, 5])}
    system.game.prepare(system.networks, Drawn(batch), 4)
    rows = system.noise(2000, seed=0)
    labels = rows[:, system.game.latent.dim :]
    shares = labels.mean(0)
    assert torch.equal(labels.sum(1), torch.ones(2000))
    assert shares[2].item() == pytest.approx(0.75, abs=0.03)
    assert shares[5].item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(rows, system.noise(2000, seed=0))


def test_a_picture_has_one_label_per_row_and_one_latent_per_column(make_system):
    system, _ = conditional(make_system, kind="image")
    system.networks["condition"].prepare(Drawn({"label": torch.arange(20) % 10}))
    shown = system.game.sample_grid(system.networks, 64, torch.Generator().manual_seed(0))
    rows = shown.noise.view(10, shown.columns, -1)
    dim = system.game.latent.dim
    assert shown.captions == tuple("0123456789")
    assert torch.equal(rows[..., dim:].argmax(2), torch.arange(10).unsqueeze(1).expand(10, shown.columns))
    assert torch.equal(rows[:, :, :dim], rows[:1, :, :dim].expand(10, -1, -1))


def test_fakes_are_made_for_the_conditions_of_the_batch(make_system):
    """Test with a generator whose samples are its conditions."""
    system, batch = conditional(make_system)

    class Parrot(nn.Module):
        def forward(self, rows):
            return rows[:, -8:]

    system.networks["generator"] = Parrot()
    turn = system.game.turn(system.networks, ("discriminator",), batch)
    assert torch.equal(turn.fake.argmax(1), batch["label"])


def test_a_condition_survives_a_checkpoint(make_system):
    system, _ = conditional(make_system)
    again = make_system(*overrides("mlp", "non_saturating", None, "points", "game=conditional", "seed=1"))
    again.load_state_dict(system.state_dict())
    assert torch.equal(again.sample(again.noise(5, 0)), system.sample(system.noise(5, 0)))


def test_unlabelled_data_and_unconditional_generators_are_refused(make_system):
    with pytest.raises(ConfigError, match="this dataset has none; choose one with classes, or game=gan"):
        make_system("game=conditional", "dataset=swiss_roll", "model=mlp")
    with pytest.raises(ConfigError, match="takes no condition; choose model=mlp"):
        make_system("game=conditional", "dataset=ring8", "model=gaussian")


@pytest.mark.parametrize("method", ["concat", "projection", "ac_gan"])
def test_a_method_without_its_game_is_refused(make_system, method):
    assert method in names_in("method")
    with pytest.raises(ConfigError, match="needs a condition, and this game has none; choose a game that has one"):
        make_system("dataset=digits", f"method={method}")


def rng():
    return torch.Generator().manual_seed(0)


def test_each_label_is_stored_once_with_its_frequency():
    condition = LabelCondition(Classes(("a", "b")))
    condition.prepare(Drawn({"label": torch.tensor([0, 1, 1])}))
    assert condition.known.tolist() == [[1, 0], [0, 1]]
    assert condition.shares.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert math.isclose(condition.draw(500, rng()).mean(0)[1], 2 / 3, abs_tol=0.06)
    other = Drawn({"label": torch.tensor([0, 0, 0, 1])})
    assert math.isclose(condition.draw(500, rng(), other).mean(0)[1], 1 / 4, abs_tol=0.06)
    assert condition.shares.tolist() == pytest.approx([1 / 3, 2 / 3])  # as they were


def test_rare_labels_are_stored_too():
    """One attribute vector in 3,000 is unique."""
    condition = LabelCondition(ATTRIBUTES)
    labels = torch.tensor([[1, 0, 0, 1, 0]]).repeat(3000, 1)
    labels[1234] = torch.tensor([0, 1, 1, 0, 1])
    condition.prepare(Drawn({"label": labels}))
    assert condition.shares.sort().values.tolist() == pytest.approx([1 / 3000, 2999 / 3000])
    drawn = condition.draw(30_000, rng())
    assert 3 <= drawn[:, 1].sum() <= 20  # ten are expected
    again = LabelCondition(ATTRIBUTES)
    again.load_state_dict(condition.state_dict())
    assert torch.equal(again.draw(50, rng()), condition.draw(50, rng()))


def test_samples_of_stacked_digits_are_made_for_all_thousand_modes(data_root, make_system):
    options = ("game=conditional", "dataset=stacked_mnist", f"dataset.root={data_root}", "metric=[]")
    dataset = make_system(*options, "model=mlp").dataset
    condition = LabelCondition(dataset.labels)
    condition.prepare(dataset.load(torch.device("cpu")))
    assert (condition.draw(30_000, rng()).sum(0) > 0).all()  # each is missing with a probability below exp(−20)


@pytest.mark.parametrize("method", ["concat", "projection", "concat_maxout"])
def test_a_conditional_critic_has_no_surface_and_no_score_of_points(make_system, method):
    system, batch = conditional(make_system, f"method={method}")
    x = batch["data"]
    assert not has_unconditional_critic(system)
    assert critic_surface(system) is None
    assert sample_gradient_field(system, x, x) is None
    for metric in (push, order, transport):
        with pytest.raises(
            ValueError, match="this one also takes conditions or codes; leave it out, or choose game=gan"
        ):
            check_requirements(metric, system)
    rows = system.noise(len(x), 0)
    turn = system.game.turn(system.networks, (), {"data": x})
    turn.given(condition=rows[:, 4:])
    nn.ModuleDict(system.networks).eval()
    torch.testing.assert_close(score(system, x, rows), turn.real_scores)


def test_a_critic_that_classifies_has_a_surface(make_system):
    system, batch = conditional(make_system, "method=ac_gan")
    x = batch["data"]
    assert torch.equal(score(system, x), score(system, x, system.noise(len(x), 0)))
    assert critic_surface(system) is not None
    assert sample_gradient_field(system, x, x).arrows(x).shape == x.shape
    results = Results(system, system.noise(20, 0), Reference(system.dataset, 20, system.device))
    assert push(results)["push"] > 0


def test_a_conditional_run_on_points_has_pictures_metrics_and_samples(gan_run, tmp_path, capfd):
    small = ("trainer.steps=2", "trainer.batch_size=8", "observer.evaluation.samples=20", "logger.mode=disabled")
    code, _, err = gan_run("game=conditional", "dataset=ring8", "model=mlp", *small, "hydra.run.dir=run")
    assert code == 0, err
    assert (tmp_path / "run" / "samples" / "step_0000002.png").exists()
    gan_sample(["run", "--n", "9", "--reject"])
    gan_sample(["run", "--n", "9", "--weigh", "--out", "weighed"])
    assert (tmp_path / "weighed" / "weights.csv").read_text().startswith("weight\n")
    table = np.loadtxt(tmp_path / "weighed" / "samples.csv", delimiter=",", skiprows=1)
    gan_sample(["run", "--n", "9", "--weigh", "--out", "points.npz"])
    arrays = np.load(tmp_path / "points.npz")
    np.testing.assert_allclose(arrays["arr_0"], table)
    assert arrays["arr_1"].shape == arrays["weights"].shape == (9,)
    gan_sample(["run", "--n", "3", "--label", "5", "--out", "fives.npz"])
    assert np.load(tmp_path / "fives.npz")["arr_1"].tolist() == [5, 5, 5]
    with pytest.raises(SystemExit):
        gan_sample(["run", "--label", "3", "--weigh", "--out", "weighed"])
    assert "--reject and --weigh need unconditional samples" in capfd.readouterr().err
    code, _, err = gan_run("game=conditional", "dataset=ring8", "model=mlp", *small, "metric=[push]")
    assert code == 2
    assert err.count("\n") == 1
    assert "metric=push: it needs an unconditional critic" in err
