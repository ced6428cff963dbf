"""Terms of encoders and their generators, against closed forms."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from gan_runner.games.autoencoding import Autoencoding, Bidirectional
from gan_runner.losses.base import FakeScores
from gan_runner.losses.bernoulli import NonSaturating
from gan_runner.losses.decoupled import Decoupled
from gan_runner.losses.f_divergences import ReverseKL
from gan_runner.losses.wasserstein import Wasserstein
from gan_runner.models import latents, observation
from gan_runner.models.encoders import Posterior
from gan_runner.terms import adversarial, autoencoding, moments

pytestmark = pytest.mark.usefixtures("_float64")


class Fixed(nn.Module):
    """An encoder with the same posterior for all data."""

    def __init__(self, *posterior):
        super().__init__()
        self.posterior = Posterior(*posterior)

    def forward(self, x):
        return self.posterior


def turn_of(data, owned=("encoder",), game=None, **networks):
    return (game or Autoencoding(latents.Normal(2))).turn(networks, owned, {"data": data})


def test_the_analytic_prior_is_the_divergence_of_two_gaussians():
    mean, log_std = torch.randn(5, 3), torch.randn(5, 3)
    turn = turn_of(torch.zeros(5, 1), encoder=Fixed(mean, mean, log_std))
    known = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert autoencoding.kl_divergence(turn).item() == pytest.approx(known.item())


def test_the_bound_is_tight_if_the_encoder_is_the_true_posterior():
    """x = w z + s ε: for q(z|x) = p(z|x), reconstruction + KL is −log p(x), with p(x) = N(0, w² + s²)."""
    w, s, x, n = 1.5, 0.7, 0.9, 200_000
    mean, std = w * x / (w**2 + s**2), s / math.sqrt(w**2 + s**2)
    codes = mean + std * torch.randn(n, 1)
    encoder = Fixed(codes, torch.full_like(codes, mean), torch.full_like(codes, math.log(std)))
    game = Autoencoding(latents.Normal(1), observation=observation.Normal(s))
    generator = nn.Linear(1, 1, bias=False)
    nn.init.constant_(generator.weight, w)
    turn = turn_of(torch.full((n, 1), x), game=game, encoder=encoder, generator=generator)
    bound = moments.reconstruction(turn) + autoencoding.kl_divergence(turn)
    evidence = Normal(0.0, math.sqrt(w**2 + s**2)).log_prob(torch.tensor(x))
    assert bound.item() == pytest.approx(-evidence.item(), abs=0.01)


def test_kl_of_moments_is_that_of_two_gaussians():
    codes = torch.randn(50, 4) * torch.tensor([0.5, 1.0, 2.0, 3.0]) + torch.arange(4)
    turn = turn_of(torch.zeros(50, 1), encoder=Fixed(codes, codes))
    fitted = Normal(codes.mean(0), codes.std(0, correction=0))
    known = kl_divergence(fitted, Normal(0.0, 1.0)).mean()
    assert autoencoding.kl_of_moments(turn).item() == pytest.approx(known.item(), abs=1e-6)
    standard = (codes - codes.mean(0)) / codes.std(0, correction=0)
    turn = turn_of(torch.zeros(50, 1), encoder=Fixed(standard, standard))
    assert autoencoding.kl_of_moments(turn).item() == pytest.approx(0, abs=1e-7)


def test_codes_of_fakes_are_encodings_of_the_fakes():
    networks = {"generator": nn.Linear(2, 3), "encoder": nn.Linear(3, 2)}
    encoder = networks["encoder"]
    encoder.forward = lambda x: Posterior(*[nn.functional.linear(x, encoder.weight, encoder.bias)] * 2)
    turn = turn_of(torch.zeros(6, 3), owned=("generator",), **networks)
    z, generator = turn.noise, networks["generator"]
    again = (z @ generator.weight.T + generator.bias) @ encoder.weight.T + encoder.bias
    assert autoencoding.code_reconstruction(turn).item() == pytest.approx((again - z).square().mean().item())
    cosine = nn.functional.cosine_similarity(again, z, dim=1)
    known = (1 - cosine).mean().item() / 2
    assert autoencoding.code_reconstruction(turn, error="cosine").item() == pytest.approx(known)
    fitted = Normal(again.mean(0), again.std(0, correction=0))
    known = kl_divergence(fitted, Normal(0.0, 1.0)).mean().item()
    assert autoencoding.kl_of_moments(turn, of="fakes").item() == pytest.approx(known, abs=1e-6)


class OptimalCodeDiscriminator(nn.Module):
    """An optimal discriminator of codes: log p/q between N(0, I) and N(m, I)."""

    def __init__(self, mean):
        super().__init__()
        self.mean = mean

    def forward(self, z):
        return (Normal(0.0, 1.0).log_prob(z) - Normal(self.mean, 1.0).log_prob(z)).sum(1)


def test_the_ratio_of_an_optimal_discriminator_measures_the_divergence():
    """KL(N(m, I) ‖ N(0, I)) = ½ ‖m‖², and its gradient in m is m."""
    mean = torch.tensor([0.6, -1.0], requires_grad=True)
    codes = mean + torch.randn(400_000, 2)
    turn = turn_of(
        torch.zeros(len(codes), 1),
        encoder=Fixed(codes, codes),
        code_discriminator=OptimalCodeDiscriminator(mean.detach()),
    )
    loss = Decoupled(NonSaturating(), ReverseKL())
    value = autoencoding.code_encoder_loss(turn, loss)
    at_zero = loss.generator(FakeScores(torch.zeros(1)))
    assert (value - at_zero).item() == pytest.approx(0.5 * mean.square().sum().item(), abs=0.01)
    (slope,) = torch.autograd.grad(value, mean)
    assert slope == pytest.approx(mean.detach(), abs=0.01)
    fooled = autoencoding.code_discriminator_loss(turn, NonSaturating())
    assert fooled.item() < 2 * math.log(2)


class DoubledFeatures(nn.Module):
    """A critic whose features are twice the data, and whose score is their sum."""

    def features(self, x):
        return 2 * x

    def score(self, features, x, condition=None):
        return features.sum(1) if condition is None else (features * condition).sum(1)


def test_reconstructions_are_scored_as_samples_are():
    codes, x = torch.randn(4, 2), torch.randn(4, 2)
    turn = turn_of(
        x, ("generator",), encoder=Fixed(codes, codes), generator=nn.Identity(), discriminator=DoubledFeatures()
    )
    score = 2 * codes.sum(1).mean()
    assert autoencoding.reconstruction_generator_loss(turn, Wasserstein()).item() == pytest.approx(-score.item())
    between = score - 2 * x.sum(1).mean()
    assert autoencoding.reconstruction_discriminator_loss(turn, Wasserstein()).item() == pytest.approx(between.item())
    similarity = 0.5 * (2 * codes - 2 * x).square().sum(1).mean()
    assert autoencoding.feature_reconstruction(turn).item() == pytest.approx(similarity.item())


def test_pairs_are_real_samples_with_codes_and_fakes_with_noise():
    codes, x = torch.randn(4, 2), torch.randn(4, 2)
    networks = {"encoder": Fixed(codes, codes), "generator": nn.Identity(), "discriminator": DoubledFeatures()}
    turn = turn_of(x, ("generator", "encoder"), Bidirectional(latents.Normal(2)), **networks)
    real, fake = (2 * x * codes).sum(1).mean(), (2 * turn.noise.square()).sum(1).mean()
    assert autoencoding.swapped_loss(turn, Wasserstein()).item() == pytest.approx((real - fake).item())
    assert adversarial.discriminator_loss(turn, Wasserstein()).item() == pytest.approx((fake - real).item())
