"""Test the distributions of encoders, and what they keep of the discriminator."""

from functools import partial

import pytest
import torch
from torch.nn.utils.parametrize import is_parametrized

from gan_runner.models.encoders import DeterministicEncoder, GaussianEncoder, ImplicitEncoder
from gan_runner.models.heads import LogSumExpHead
from gan_runner.models.latents import Sphere
from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_runner.models.layers.weight_norm import normalized_weights
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.models.pairs import PairDiscriminator


def discriminator(norm="none"):
    return MLPDiscriminator((3,), width=8, depth=1, norm=norm)


def test_gaussian_encoder_draws_from_its_mean_and_deviation():
    encoder = GaussianEncoder(discriminator(), 2)
    codes, mean, log_std = encoder(torch.ones(20_000, 3))
    assert (mean == mean[0]).all()
    codes = codes.detach()
    assert codes.mean(0) == pytest.approx(mean[0].detach(), abs=0.05)
    assert codes.std(0) == pytest.approx(log_std[0].exp().detach(), rel=0.03)


def test_implicit_encoder_draws_without_a_density():
    encoder = ImplicitEncoder(discriminator(), 2)
    codes, _, log_std = encoder(torch.ones(100, 3))
    assert log_std is None
    assert (codes.std(0) > 0).all()
    (gradient,) = torch.autograd.grad(codes.sum(), encoder.of_noise.weight)
    assert gradient.abs().sum() > 0


def test_deterministic_encoder_gives_the_same_code_twice():
    codes, mean, _ = DeterministicEncoder(discriminator(), 2)(torch.ones(5, 3))
    assert (codes == codes[0]).all()
    assert codes is mean


def test_spherical_codes_lie_on_the_sphere_of_the_prior():
    codes = DeterministicEncoder(discriminator(), 7, spherical=True)(torch.randn(5, 3)).codes.detach()
    drawn = Sphere(7)(50_000, torch.device("cpu"))
    for points in (codes, drawn):
        assert points.norm(dim=1) == pytest.approx(torch.full((len(points),), 7**0.5), rel=1e-5)
    assert drawn.mean(0) == pytest.approx(torch.zeros(7), abs=0.03)
    assert drawn.var(0) == pytest.approx(torch.ones(7), abs=0.03)


def test_trunk_keeps_its_reference_batch():
    """Test that with virtual batch norm q(z|x) of a sample does not depend on its batch."""
    encoder = DeterministicEncoder(discriminator("virtual"), 2)
    x = torch.randn(6, 3)
    encoder.prepare(x, x)
    assert torch.allclose(encoder(x[:1]).codes, encoder(x).codes[:1], atol=1e-6)


@pytest.mark.parametrize("weight_norm", ["spectral", "orthogonal"])
def test_encoder_drops_the_weight_bounds_of_the_discriminator(weight_norm):
    encoder = GaussianEncoder(MLPDiscriminator((3,), width=8, depth=2, weight_norm=weight_norm), 2)
    assert not any(is_parametrized(module) for module in encoder.modules())
    x = torch.randn(5, 3)
    before = encoder.read(x)
    with torch.no_grad():
        encoder.output.weight *= 100
        encoder.output.bias *= 100
    assert torch.allclose(encoder.read(x), 100 * before, rtol=1e-4)


def test_encoder_keeps_the_weight_norm_of_the_discriminator():
    encoder = GaussianEncoder(MLPDiscriminator((3,), width=8, depth=2, weight_norm="weight"), 2)
    assert len(list(normalized_weights(encoder))) == 3
    encoder.prepare(x := torch.randn(50, 3), x)
    assert encoder.read(x).std(0, correction=0).detach() == pytest.approx(torch.ones(4), rel=1e-4)


def test_pairs_keep_layers_on_the_features():
    """Test that the score of a pair depends on its batch only with minibatch discrimination."""
    for layer, alone in {None: True, partial(MinibatchDiscrimination, kernels=3, kernel_dim=2): False}.items():
        pairs = PairDiscriminator(MLPDiscriminator((3,), width=8, depth=1, feature_layer=layer), 2)
        x, z = torch.randn(4, 3), torch.randn(4, 2)
        other = torch.cat([x[:3], -x[3:]])
        assert torch.allclose(pairs(x, z)[:3], pairs(other, z)[:3]) == alone


def test_pairs_refuse_a_head_without_codes():
    with pytest.raises(ValueError, match="need a head of their own, not a LogSumExpHead"):
        PairDiscriminator(MLPDiscriminator((3,), width=8, depth=1, head=partial(LogSumExpHead, num_classes=3)), 2)


def test_the_score_of_a_pair_depends_on_sample_and_code():
    pairs = PairDiscriminator(discriminator(), 2)
    x, z = torch.randn(4, 3), torch.randn(4, 2)
    scores = pairs(x, z)
    assert scores.shape == (4,)
    assert not torch.allclose(scores, pairs(x, z.flip(0)))
    assert not torch.allclose(scores, pairs(x.flip(0), z))
    assert not torch.allclose(scores, pairs(x, 3 * z))  # the length of a code matters
