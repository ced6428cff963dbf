"""Maximum likelihood: closed forms, dequantisation, and the generators that it accepts."""

import math

import pytest
import torch
from conftest import TINY

from gan_runner.errors import ConfigError
from gan_runner.games.gan import GAN
from gan_runner.models.gaussian import Gaussian
from gan_runner.models.latents import Normal
from gan_runner.models.real_nvp import RealNVP
from gan_runner.sampling.inference import log_prob
from gan_runner.step import train_step
from gan_runner.terms.likelihood import negative_log_likelihood

FLOW = ["model=real_nvp", "loss=maximum_likelihood", *(o for o in TINY["real_nvp"] if "discriminator" not in o)]


def turn_of(generator, data):
    return GAN(Normal(generator.latent_dim)).turn({"generator": generator}, ("generator",), {"data": data})


def test_for_the_identity_it_is_the_mean_square_of_the_data():
    x = torch.randn(50, 3)
    turn = turn_of(RealNVP(3, (3,), False), x)
    expected = x.square().mean() / 2 + math.log(2 * math.pi) / 2
    torch.testing.assert_close(negative_log_likelihood(turn), expected)
    torch.testing.assert_close(turn.values["bits_per_dimension"], expected / math.log(2))


def test_points_have_no_noise_and_images_have_noise_drawn_once():
    points, images = torch.randn(5, 3), torch.randint(256, (5, 1, 4, 4)) / 127.5 - 1
    assert turn_of(RealNVP(3, (3,), False), points).dequantised is points
    turn = turn_of(RealNVP(16, (1, 4, 4), True), images)
    bytes_ = (128 * (turn.dequantised + 1)).floor()
    torch.testing.assert_close(bytes_, (127.5 * (images + 1)).round())
    assert turn.dequantised is turn.dequantised


def test_its_minimum_has_the_moments_of_the_data():
    x = torch.randn(400, 2) * torch.tensor([0.5, 2.0]) + torch.tensor([1.0, -1.0])
    generator = Gaussian(2, (2,))
    generator.latent_dim = 2
    optimizer = torch.optim.LBFGS(generator.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        value = negative_log_likelihood(turn_of(generator, x))
        value.backward()
        return value

    optimizer.step(closure)
    torch.testing.assert_close(generator.mean.detach(), x.mean(0), rtol=0, atol=1e-3)
    torch.testing.assert_close(generator.log_std.exp().detach(), x.std(0, correction=0), rtol=1e-3, atol=0)


def test_with_an_adversarial_loss_the_gradient_is_the_weighted_sum(make_system):
    system = make_system(
        "model=real_nvp",
        "dataset=ring8",
        "regularizer=[likelihood]",
        "regularizer.likelihood.weight=3",
        *TINY["real_nvp"],
    )
    generator = next(player for player in system.players if player.name == "generator")
    assert generator.weights == {"adversarial": 1.0, "likelihood": 3.0}
    torch.manual_seed(0)
    report = train_step(system.players, iter([{"data": torch.randn(8, 2)}] * 2))
    assert {"generator/adversarial", "generator/likelihood", "generator/bits_per_dimension"} <= set(report)


def test_a_generator_without_density_is_refused(make_system):
    with pytest.raises(ConfigError, match="with a known density; choose model=real_nvp"):
        make_system("loss=maximum_likelihood", "model=mlp", "model.generator.width=8", "model.latent.dim=4")


def test_latents_that_are_not_normal_are_refused(make_system):
    uniform = "model.latent._target_=gan_runner.models.latents.Uniform"
    with pytest.raises(
        ConfigError, match=r"likelihood: densities are computed for latents from N\(0, I\), .* is Uniform; set"
    ):
        make_system("model=real_nvp", "dataset=ring8", "regularizer=[likelihood]", uniform, *TINY["real_nvp"])


def test_training_raises_the_likelihood(make_system):
    system = make_system(*FLOW, "dataset=ring8", "model.generator.couplings=4", "optimizer.lr=0.01")
    x = system.dataset.load(system.device).real(256)
    system.game.prepare(system.networks, system.dataset.load(system.device), 256)
    before = log_prob(system, x).mean()
    for _ in range(40):
        train_step(system.players, iter([{"data": x}]))
    assert log_prob(system, x).mean() > before + 0.1
