"""Test layers, noise and norms of the networks for semi-supervised MNIST."""

import pytest
import torch
from torch import nn

from gan_runner.models.layers.gaussian_noise import GaussianNoise
from gan_runner.models.layers.weight_norm import WeightNormalized, normalized_weights
from gan_runner.models.maxout import Affine
from gan_runner.models.salimans import NoisyDiscriminator, SoftplusGenerator

MNIST = (1, 28, 28)


def kinds(network, *wanted):
    return [module for module in network.modules() if isinstance(module, wanted)]


def test_discriminator_equals_the_authors():
    network = NoisyDiscriminator(MNIST, bounded=True)
    linear = kinds(network, nn.Linear)
    assert [layer.out_features for layer in linear] == [1000, 500, 250, 250, 250, 1]
    assert [noise.std for noise in kinds(network, GaussianNoise)] == [0.3, *[0.5] * 5]
    assert len(kinds(network.trunk, nn.ReLU)) == 5
    assert len([*normalized_weights(network)]) == 6
    trained = [name for name, _ in network.named_parameters() if name.endswith("gain")]
    assert trained == ["head.1.parametrizations.weight.0.gain"]  # only the last layer's
    weights = [layer.parametrizations.weight.original for layer in linear[:3]]
    assert all(weight.std().item() == pytest.approx(0.1, rel=0.02) for weight in weights)


def test_features_come_before_the_last_noise():
    network = NoisyDiscriminator((2,), widths=(4, 3), input_noise=0.0, hidden_noise=0.0)
    noisy = NoisyDiscriminator((2,), widths=(4, 3), input_noise=0.0)
    x = torch.randn(8, 2)
    assert network.features(x).shape == (8, 3)
    assert not isinstance([*noisy.trunk][-1], GaussianNoise)
    assert isinstance(noisy.head[0][0], GaussianNoise)
    assert not torch.equal(noisy(x), noisy(x))
    noisy.eval()
    assert torch.equal(noisy(x), noisy(x))


def test_images_are_mapped_to_the_range_of_the_paper():
    network = NoisyDiscriminator(MNIST, bounded=True, input_noise=0.0)
    black = network.trunk[:3](torch.full((1, *MNIST), -1.0))
    assert torch.equal(black, torch.zeros(1, 784))
    assert not kinds(NoisyDiscriminator((2,)), Affine)


def test_all_gains_can_be_trained():
    network = NoisyDiscriminator((2,), widths=(4, 3), train_gains=True)
    assert len([name for name, _ in network.named_parameters() if name.endswith("gain")]) == 3


def test_generator_equals_the_authors():
    network = SoftplusGenerator(100, MNIST, bounded=True)
    assert [layer.out_features for layer in kinds(network, nn.Linear)] == [500, 500, 784]
    assert len(kinds(network, nn.Softplus)) == len(kinds(network, nn.BatchNorm1d)) == 2
    ((last, normalized),) = normalized_weights(network)
    torch.testing.assert_close(last.weight.norm(dim=1), torch.ones(784))
    assert isinstance(normalized, WeightNormalized)
    before = last.weight.detach().clone()
    network.prepare(torch.rand(20, 100), torch.rand(20, *MNIST))
    assert torch.equal(last.weight, before)  # only the discriminator is initialised from data


def test_generator_output_is_a_sigmoid_rescaled_to_minus_one_and_one():
    network = SoftplusGenerator(3, (2,), bounded=True).eval()
    z = torch.rand(8, 3)
    logits = network.body[0][:7](z)
    torch.testing.assert_close(network(z), 2 * logits.sigmoid() - 1)
    free = SoftplusGenerator(3, (2,), bounded=False).eval()
    torch.testing.assert_close(free(z), free.body[0][:7](z))


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="hidden_layers"):
        NoisyDiscriminator((2,), widths=())
    with pytest.raises(ValueError, match="width"):
        SoftplusGenerator(3, (2,), bounded=True, width=0)
