"""Text to image: the methods of Reed et al. 2016, arXiv:1605.05396, against their Algorithm 1 written out."""

import pytest
import torch
from methods import TEXT, Drawn, batches_of
from torch import nn
from torch.nn.functional import logsigmoid

from gan_runner.errors import ConfigError
from gan_runner.games.text_to_image import TextToImage
from gan_runner.models.latents import Normal

LR = 0.1
SMALL = (
    *(*TEXT, "model=mlp", "model.generator.width=8", "model.discriminator.width=8", "model.latent.dim=4"),
    *("optimizer=sgd", f"optimizer.lr={LR}", "scheduler=constant", "trainer.batch_size=2"),
)


def pair(system):
    """A batch of two images with different captions and labels: each is the mismatch of the other."""
    batch = {name: x[:2].double() if x.is_floating_point() else x[:2] for name, x in next(batches_of(system)).items()}
    batch["label"] = torch.arange(2)
    return batch


def ready(make_system, method, monkeypatch, *more):
    """A system in float64 with fixed latents, and a batch."""
    system = make_system(*SMALL, f"method={method}", *more)
    nn.ModuleDict(system.networks).double()
    batch = pair(system)
    system.game.prepare(system.networks, Drawn(batch), 2)
    latents = torch.randn(2, 4, dtype=torch.float64)
    monkeypatch.setattr(Normal, "__call__", lambda *arguments: latents)
    return system, batch, latents


def algorithm_1(system, batch, z, mismatches, between):
    """One step by hand: the weights of both players after it, by name."""
    generator, discriminator = system.networks["generator"], system.networks["discriminator"]
    x = batch["data"]
    h = system.networks["condition"](batch)
    wrong = h.flip(0)

    def log_s(x, h):
        return logsigmoid(discriminator.score(discriminator.features(x), x, h)).mean()

    def log_one_minus_s(x, h):
        return logsigmoid(-discriminator.score(discriminator.features(x), x, h)).mean()

    def ascend(network, value):
        weights = list(network.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(value, weights)):
            weight.data += LR * gradient

    fake = generator(torch.cat([z, h], 1)).detach()
    as_fake = (log_one_minus_s(x, wrong) + log_one_minus_s(fake, h)) / 2 if mismatches else log_one_minus_s(fake, h)
    ascend(discriminator, log_s(x, h) + as_fake)
    value = log_s(generator(torch.cat([z, h], 1)), h)
    if between:
        middle = (h + wrong) / 2
        value = value + log_s(generator(torch.cat([z, middle], 1)), middle)
    ascend(generator, value)
    return {name: p.detach().clone() for name, p in nn.ModuleDict(system.networks).named_parameters()}


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    ("method", "mismatches", "between"),
    [("gan", False, False), ("cls", True, False), ("int", False, True), ("int_cls", True, True)],
)
def test_a_step_equals_algorithm_1(make_system, monkeypatch, method, mismatches, between):
    system, batch, z = ready(make_system, method, monkeypatch)
    by_hand = algorithm_1(ready(make_system, method, monkeypatch)[0], batch, z, mismatches, between)
    # latents were drawn anew for the second parts; the first see the same
    monkeypatch.setattr(Normal, "__call__", lambda *arguments: z)
    system.step(iter([batch]))
    for name, parameter in nn.ModuleDict(system.networks).named_parameters():
        torch.testing.assert_close(parameter, by_hand[name], rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("loss", ["lsgan", "hinge", "relativistic_average", "wgan_gp"])
def test_mismatched_pairs_count_as_half_of_the_fakes_with_any_loss(make_system, loss):
    system = make_system(*SMALL, "method=cls", f"loss={loss}", "optimizer=sgd")
    system.game.prepare(system.networks, Drawn(pair(system)), 2)
    turn = system.game.turn(system.networks, ("discriminator",), pair(system))
    player = system.players[0]
    terms = {name: player.terms[name](turn) for name in ("adversarial", "mismatch")}
    total = sum(player.weights[name] * value for name, value in terms.items())
    fakes = system.loss.discriminator(turn.scores)
    turn.scores.fake = turn.mismatched_scores
    assert total.item() == pytest.approx((fakes + system.loss.discriminator(turn.scores)).item() / 2)


@pytest.fixture(scope="module")
def system(make_system):
    """The initialised system of the game."""
    system = make_system(*SMALL)
    system.game.prepare(system.networks, Drawn(next(batches_of(system))), 8)
    return system


def others(turn):
    """The index of the sample whose condition each sample gets."""
    return torch.cdist(turn.other_condition, turn.condition).argmin(1)


def test_mismatches_are_other_images_of_other_classes_if_there_are_any(system):
    batch = next(batches_of(system, 12))
    batch["label"] = torch.arange(12) % 3
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        other = others(system.game.turn(system.networks, (), batch))
        assert not (batch["label"][other] == batch["label"]).any()
        seen.add(tuple(other.tolist()))
    assert len(seen) == 20  # each turn draws new ones
    turn = system.game.turn(system.networks, (), {**batch, "label": torch.zeros(12, dtype=torch.long)})
    assert not (others(turn) == torch.arange(12)).any()  # all have the same class, so only the image differs


def test_interpolated_captions_are_weighted_by_beta(system):
    turn = system.game.turn(system.networks, (), next(batches_of(system, 6)))
    own, x = turn.between(1.0)
    assert torch.equal(own, turn.condition)
    assert torch.allclose(x, turn.fake)
    assert torch.allclose(turn.between(0.25)[0], 0.25 * turn.condition + 0.75 * turn.other_condition)


def test_networks_get_the_lengths_of_captions_and_embeddings(make_system):
    system = make_system(*SMALL, "model.condition.encoder.dim=9")
    assert system.networks["condition"].encoder.caption_length == 56
    assert system.networks["generator"].condition_dim == 9
    assert system.noise(5, 0).shape == (5, 4 + 9)


def test_data_without_captions_is_refused(make_system):
    with pytest.raises(ConfigError, match="text_to_image needs captions, and this dataset has none; choose"):
        make_system("game=text_to_image", "dataset=digits")


def test_a_caption_cannot_be_an_auxiliary_class(make_system):
    with pytest.raises(ConfigError, match="choose method=int_cls"):
        make_system(*SMALL, "method=ac_gan")


def test_labels_are_no_captions(make_system):
    networks = {"condition": nn.Identity(), "generator": nn.Identity()}
    with pytest.raises(ValueError, match="the condition of this game is a sentence; leave"):
        TextToImage.requirements[1](networks)


def test_pictures_have_one_caption_per_row(system):
    arrangement = system.game.sample_grid(system.networks, 16, torch.Generator().manual_seed(0))
    assert len(arrangement.captions) * arrangement.columns == len(arrangement.noise)
    assert all(len(caption) > 10 for caption in arrangement.captions)
