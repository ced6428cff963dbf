"""Test the networks of the first GAN: initial weights, output bias and dropout."""

import math

import pytest
import torch
from torch import nn

from gan_runner.models.layers.maxout import Maxout
from gan_runner.models.maxout import MaxoutDiscriminator, ReLUSigmoidGenerator, TwoBranchGenerator


def linear_layers(network):
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 5, 7)], ids=str)
@pytest.mark.parametrize("bounded", [True, False])
def test_shapes(shape, bounded):
    generator, discriminator = (
        ReLUSigmoidGenerator(4, shape, bounded, width=6),
        MaxoutDiscriminator(shape, bounded, width=6),
    )
    x = generator(torch.randn(5, 4))
    assert x.shape == (5, *shape)
    assert discriminator.features(x).shape == (5, 6)
    assert discriminator(x).shape == (5,)


def test_sizes_of_the_paper():
    with torch.device("meta"):
        generator = ReLUSigmoidGenerator(100, (1, 28, 28), True)
        discriminator = MaxoutDiscriminator((1, 28, 28), True)
    assert [m.weight.shape for m in linear_layers(generator)] == [(1200, 100), (1200, 1200), (784, 1200)]
    assert [m.weight.shape for m in linear_layers(discriminator)] == [
        (240 * 5, 784),
        (240 * 5, 240),
        (1, 240),
    ]
    assert [m.pieces for m in discriminator.modules() if isinstance(m, Maxout)] == [5, 5]


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda: ReLUSigmoidGenerator(50, (1, 14, 14), True, width=100), 0.05),
        (lambda: MaxoutDiscriminator((1, 14, 14), True, width=100), 0.005),
        (lambda: ReLUSigmoidGenerator(50, (1, 14, 14), True, width=100, init_bound=0.2), 0.2),
        (lambda: MaxoutDiscriminator((1, 14, 14), True, width=100, init_bound=0.2), 0.2),
    ],
)
def test_initial_weights_are_uniform_within_their_bound(make, bound):
    torch.manual_seed(0)
    for layer in linear_layers(make()):
        error = 4 / layer.weight.numel() ** 0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.95 * bound
        assert layer.weight.mean().abs() < bound * error
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=error)
        assert not layer.bias.any()


def marginals(n=400, bounded=True):
    """Data whose pixels have different means. The first pixel is constant."""
    torch.manual_seed(0)
    centre = torch.linspace(-0.9, 0.9, 16).view(1, 1, 4, 4)
    data = (centre + 0.1 * torch.randn(n, 1, 4, 4)).clamp(-1, 1)
    data[:, 0, 0, 0] = -1
    return data if bounded else 50 * data + 100


@pytest.mark.parametrize("weight_norm", ["none", "spectral"])
@pytest.mark.parametrize("bounded", [True, False])
def test_output_bias_starts_at_the_mean_of_the_data(bounded, weight_norm):
    data = marginals(bounded=bounded)
    generator = ReLUSigmoidGenerator(10, (1, 4, 4), bounded, width=20, weight_norm=weight_norm)
    generator.prepare(torch.randn(400, 10), data)
    made = generator(torch.zeros(1, 10))[0]  # only biases contribute, and the others are zero
    mean = data.mean(0)
    if bounded:  # the logit of a constant pixel is clamped
        mean[0, 0, 0] += 2 / 401
    torch.testing.assert_close(made, mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "virtual"])
def test_untrained_samples_are_near_the_mean_of_the_data(norm):
    data = marginals()
    generator = ReLUSigmoidGenerator(100, (1, 4, 4), True, width=400, norm=norm)
    noise = torch.randn(400, 100)
    before = (generator(noise).mean(0) - data.mean(0)).abs().mean()
    generator.prepare(noise, data)
    after = (generator(noise).mean(0) - data.mean(0)).abs().mean()
    assert before > 0.4
    assert after < 0.1


def test_output_is_the_rescaled_sigmoid():
    """2 σ(a) − 1 for an output activation a, here its bias."""
    generator = ReLUSigmoidGenerator(3, (5,), True, width=4)
    *_, output = linear_layers(generator)
    activation = torch.tensor([-20.0, -1.0, 0.0, 2.0, 20.0])
    output.weight.data.zero_()
    output.bias.data = activation
    torch.testing.assert_close(generator(torch.randn(1, 3))[0], 2 * activation.sigmoid() - 1)


def test_discriminator_has_dropout_in_training_only():
    torch.manual_seed(0)
    network = MaxoutDiscriminator((40,), width=50)
    rates = [m.p for m in network.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.2, 0.5, 0.5]  # of the inputs, then of each hidden layer
    x = torch.randn(500, 40)
    features = network.features(x)
    assert (features == 0).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(network.eval()(x), network(x))
    assert not (network.features(x) == 0).any()


@pytest.mark.parametrize("knob", ["width", "pieces"])
def test_sizes_below_one_are_refused(knob):
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        MaxoutDiscriminator((2,), **{knob: 0})


def test_latent_and_condition_have_separate_first_layers():
    """Mirza & Osindero 2014, Section 4.1: 200 and 1,000 units, then 1,200 of both, then 784."""
    with torch.device("meta"):
        generator = TwoBranchGenerator(100, (1, 28, 28), True, 10)
    sizes = [tuple(layer.weight.shape) for layer in linear_layers(generator)]
    assert sizes == [(200, 100), (1000, 10), (1200, 1200), (784, 1200)]


def test_two_branch_samples_depend_on_latent_and_condition():
    generator = TwoBranchGenerator(4, (2, 3), True, 3, latent_width=16, condition_width=16, width=16).eval()
    z, y = torch.randn(3, 4), torch.eye(3)
    made = generator(torch.cat([z, y], 1))
    assert made.shape == (3, 2, 3)
    assert not torch.isclose(made, generator(torch.cat([z, y.roll(1, 0)], 1))).all(dim=(1, 2)).any()
    assert not torch.isclose(made, generator(torch.cat([z.roll(1, 0), y], 1))).all(dim=(1, 2)).any()
