"""The semi-supervised game: K + 1 classes in K logits, and the losses of both players."""

import pytest
import torch
from conftest import TINY
from methods import batches_of
from torch.nn.functional import softmax

from gan_runner.datasets.base import Batches, Order, derive_seed
from gan_runner.errors import ConfigError
from gan_runner.games.base import training_data
from gan_runner.losses.base import GivenScores
from gan_runner.losses.bernoulli import NonSaturating
from gan_runner.models.heads import LogSumExpHead
from gan_runner.models.layers.weight_norm import normalized_weights
from gan_runner.sampling.inference import classify
from gan_runner.system import eval_mode

OPTIONS = ["game=semi_supervised", "model=salimans_mnist", "dataset.image_size=8", *TINY["salimans_mnist"]]
FEATURES = ["loss=feature_matching"]


@pytest.fixture
def system(make_system):
    made = make_system(*OPTIONS, *FEATURES)
    made.game.prepare(made.networks, made.dataset.load(made.device), 8)
    return made


def head_and_features():
    return LogSumExpHead(6, 10).double(), torch.randn(9, 6, dtype=torch.float64)


def test_the_score_is_the_logit_of_a_softmax_over_k_plus_one_classes():
    head, features = head_and_features()
    logits = torch.cat([head.classify(features), torch.zeros(9, 1)], 1)
    fake = softmax(logits, 1)[:, 10]
    torch.testing.assert_close(head(features).squeeze(1).sigmoid(), 1 - fake)
    z = head.classify(features).exp().sum(1)
    torch.testing.assert_close(head(features).squeeze(1).sigmoid(), z / (z + 1))


def test_unsupervised_loss_is_the_cross_entropy_of_k_plus_one_classes():
    """−log p(y ≤ K) of data, −log p(K + 1) of fakes (Section 5)."""
    head, features = head_and_features()
    real, fake = head(features[:5]).squeeze(1), head(features[5:]).squeeze(1)
    zeros = torch.zeros(9, 1)
    p = softmax(torch.cat([head.classify(features), zeros], 1), 1)[:, 10]
    truth = -(1 - p[:5]).log().mean() - p[5:].log().mean()
    torch.testing.assert_close(NonSaturating().discriminator(GivenScores(real, fake)), truth)


def test_the_discriminators_gradients_by_hand(system):
    """∂/∂l of the head's logits: supervised p − y; on data −½ (1 − D) p; on fakes ½ D p (p the softmax of K)."""
    batch = next(batches_of(system))
    player = system.players[0]
    logits = []
    head = system.networks["discriminator"].head[-1]
    head.logits.register_forward_hook(lambda module, inputs, output: logits.append(output))
    torch.manual_seed(0)
    turn = system.game.turn(system.networks, player.owned, batch)
    real, fake, labelled = turn.real_scores, turn.fake_scores, turn.labelled_logits  # each runs the head once
    terms = {name: term(turn) for name, term in player.terms.items()}
    assert player.weights == {"adversarial": 0.5, "supervised": 1.0}
    assert labelled is logits[2]
    likely = labelled.log_softmax(1)[range(8), batch["labelled_label"]]
    torch.testing.assert_close(terms["supervised"], -likely.mean())
    found = torch.autograd.grad(player.total(terms), logits)
    truth = softmax(labelled, 1)
    truth[range(8), batch["labelled_label"]] -= 1
    z = [some.exp().sum(1, keepdim=True) for some in logits[:2]]
    torch.testing.assert_close(real, z[0].log().squeeze(1))
    torch.testing.assert_close(fake, z[1].log().squeeze(1))
    torch.testing.assert_close(found[0], -0.5 / (1 + z[0]) * softmax(logits[0], 1) / 8)
    torch.testing.assert_close(found[1], 0.5 * z[1] / (1 + z[1]) * softmax(logits[1], 1) / 8)
    torch.testing.assert_close(found[2], truth / 8)


def test_the_generator_matches_features_and_reads_no_label(system):
    batch = next(batches_of(system))
    torch.manual_seed(0)
    report, gradients = system.players[1].move(batch)
    torch.manual_seed(0)
    blind, same = system.players[1].move({"data": batch["data"]})
    assert all(torch.equal(a, b) for a, b in zip(gradients, same))
    assert report["feature_matching"] == blind["feature_matching"] > 0


def test_unknown_labels_change_nothing(make_system):
    """Training ends with the same parameters if the unknown labels are permuted."""

    def trained(permuted):
        system = make_system(*OPTIONS, *FEATURES, "game.labelled.count=20")
        data = system.dataset.load(system.device)
        if permuted:
            unseen = Order(len(data), derive_seed(-2, 0)).indices(0, len(data))[256:]
            data.labels[unseen] = data.labels[unseen.flip(0)]
        system.game.prepare(system.networks, data, 8)
        batches = Batches(training_data(system.game, system.dataset, data), 8, 0)
        torch.manual_seed(0)
        for _ in range(3):
            system.step(batches)
        return [p for player in system.players for p in player.parameters]

    assert all(torch.equal(a, b) for a, b in zip(trained(False), trained(True), strict=True))


def test_initialisation_uses_more_than_a_batch(make_system):
    system = make_system(*OPTIONS, *FEATURES, "model.discriminator.input_noise=0", "model.discriminator.hidden_noise=0")
    data = system.dataset.load(system.device)
    system.game.prepare(system.networks, data, 8)
    seen = []
    critic = system.networks["discriminator"]
    for layer, _ in normalized_weights(critic):
        layer.register_forward_hook(lambda _, __, output: seen.append(output))
    critic(data.real(500))
    assert len(seen) == 3
    for y in seen:
        torch.testing.assert_close(y.mean(0), torch.zeros(y.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(y.var(0, correction=0), torch.ones(y.shape[1]), atol=1e-3, rtol=0)


def test_the_classifier_is_the_averaged_discriminator(system):
    batches = batches_of(system)
    for _ in range(3):
        system.step(batches)
    x = next(batches)["data"]
    average = system.players[0].constraints["ema"].averages["discriminator"]
    found = classify(system, x)
    with torch.no_grad():
        torch.testing.assert_close(found, average.classify(average.features(x)))
        present = {"discriminator": system.networks["discriminator"]}
        with eval_mode(present):
            assert not torch.allclose(found, system.game.classify(present, x))
    assert found.shape == (8, 10)


def test_minibatch_discrimination_precedes_the_class_logits(make_system):
    system = make_system(*OPTIONS, "loss=non_saturating", "regularizer=[minibatch_discrimination]")
    noise, layer = system.networks["discriminator"].head[0]
    assert (noise.std, layer.out_features) == (0.5, 8 + 100)
    report = system.step(batches_of(system))
    assert report["generator/adversarial"].isfinite()


def test_data_without_classes_is_refused(make_system):
    with pytest.raises(ConfigError, match="game: a classifier needs classes, and this dataset has none; choose"):
        make_system("game=semi_supervised", "dataset=swiss_roll", "model=mlp")
    with pytest.raises(ConfigError, match="game: the discriminator of this game must classify; leave"):
        make_system(*OPTIONS, "model.discriminator.head=null")
    with pytest.raises(ConfigError, match="count=101 is not a multiple of the 10 classes; choose 100"):
        make_system(*OPTIONS, "game.labelled.count=101")
