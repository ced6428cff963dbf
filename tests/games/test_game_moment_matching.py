"""Moment matching: the data and the gradients of each player."""

import pytest
import torch
from conftest import TINY

from gan_runner.losses.kernels import biased_mmd2
from gan_runner.losses.moments import MMD
from gan_runner.plots.surfaces import critic_surface
from gan_runner.terms.moments import mmd, reconstruction

PARTS = ["model=mlp", *TINY["mlp"]]


@pytest.fixture
def alone(make_system):
    return make_system("loss=mmd", "dataset=ring8", "model=mlp", "model.generator.width=8", "model.latent.dim=4")


@pytest.fixture
def codes(make_system):
    return make_system("loss=mmd", "game=moment_matching_codes", *PARTS, "model.code_generator.width=8")


def turn_of(system, *owned):
    return system.game.turn(system.networks, owned, {"data": torch.rand(6, *system.dataset.shape) * 2 - 1})


def test_the_generator_is_the_only_player_and_features_are_the_data(alone):
    assert list(alone.networks) == ["generator"]
    assert [player.name for player in alone.players] == ["generator"]
    assert critic_surface(alone) is None
    turn = turn_of(alone, "generator")
    loss = MMD(alone.loss.kernel)
    torch.testing.assert_close(mmd(turn, loss), biased_mmd2(loss.kernel, turn.real, turn.fake))


def test_images_are_flattened(make_system):
    system = make_system("loss=mmd", "model=mlp", "model.generator.width=8")
    turn = turn_of(system, "generator")
    assert turn.real_features.shape == turn.fake_features.shape == (6, 256)


def test_the_autoencoder_is_trained_on_data_alone(codes):
    turn = turn_of(codes, "autoencoder")
    torch.testing.assert_close(reconstruction(turn), -codes.networks["autoencoder"](turn.real).mean())
    slopes = torch.autograd.grad(reconstruction(turn), turn.parameters)
    assert all(slope.isfinite().all() for slope in slopes)
    assert not turn.computed("fake_features")


def test_the_code_generator_is_trained_on_codes_and_does_not_change_the_autoencoder(codes):
    turn = turn_of(codes, "code_generator")
    value = mmd(turn, codes.loss)
    assert not turn.real_features.requires_grad
    assert turn.fake_features.shape == turn.real_features.shape == (6, 4)
    assert not turn.computed("fake", "errors")
    assert any(slope.any() for slope in torch.autograd.grad(value, turn.parameters))


def test_samples_are_decoded_codes(codes):
    noise = codes.noise(5, 0)
    assert noise.shape == (5, 10)
    generated = codes.networks["code_generator"](noise)
    torch.testing.assert_close(codes.sample(noise), codes.networks["autoencoder"].decoder(generated).detach())


def test_samples_come_from_the_averaged_code_generator(make_system):
    system = make_system("loss=mmd", "game=moment_matching_codes", "regularizer=[ema]", *PARTS)
    noise = system.noise(4, seed=0)
    before = system.sample(noise)
    with torch.no_grad():
        for parameter in system.networks["code_generator"].parameters():
            parameter.add_(1)
    assert torch.equal(system.sample(noise), before)
