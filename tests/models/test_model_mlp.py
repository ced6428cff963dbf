"""Test the MLP's shapes, depth and bounds, and that initial weights preserve the scale of activations."""

import pytest
import torch
from torch import nn

from gan_runner.models.mlp import ACTIVATIONS, MLPDiscriminator, MLPGenerator

SHAPES = [(2,), (1,), (1, 8, 8), (3, 5, 7)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_shapes(shape, activation):
    generator = MLPGenerator(4, shape, False, width=6, activation=activation)
    discriminator = MLPDiscriminator(shape, width=6, activation=activation)
    x = generator(torch.randn(5, 4))
    assert x.shape == (5, *shape)
    assert discriminator.features(x).shape == (5, 6)
    assert discriminator(x).shape == (5,)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_depth_counts_the_hidden_layers(depth):
    for network in (
        MLPGenerator(4, (3,), False, width=6, depth=depth),
        MLPDiscriminator((3,), width=6, depth=depth),
    ):
        shapes = [m.weight.shape for m in network.modules() if isinstance(m, nn.Linear)]
        assert shapes[1:-1] == [(6, 6)] * (depth - 1)
        assert len(shapes) == depth + 1


def test_output_is_bounded_if_the_data_is():
    for bounded in (True, False):
        network = MLPGenerator(4, (3,), bounded, width=6)
        x = network(1000 * torch.randn(50, 4))
        assert (x.abs().max() <= 1) == bounded


def test_relu_layers_keep_the_size_of_the_signal():
    """He et al. 2015, arXiv:1502.01852, Eq. 10: with Var w = 2 / fan_in, each layer keeps E[x²]."""
    torch.manual_seed(0)
    network, sizes = MLPDiscriminator((500,), width=1000, depth=8), []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: sizes.append(output.square().mean().item()))
    network(torch.randn(50, 500))
    assert len(sizes) == 8
    assert sizes == pytest.approx([1.0] * 8, rel=0.25)


def test_activations_equal_torchs():
    x = torch.tensor([-2.0, 0.0, 3.0])
    values = {name: make()(x).tolist() for name, make in ACTIVATIONS.items()}
    assert values["relu"] == [0, 0, 3]
    assert values["leaky_relu"] == pytest.approx([-0.4, 0, 3])
    assert values["tanh"] == pytest.approx([-0.9640276, 0, 0.9950548])
    assert values["softplus"] == pytest.approx([0.1269280, 0.6931472, 3.0485874])


@pytest.mark.parametrize("sizes", [{"depth": 0}, {"width": 0}, {"depth": -1}])
def test_sizes_below_one_are_refused(sizes):
    for make in (lambda: MLPGenerator(4, (3,), False, **sizes), lambda: MLPDiscriminator((3,), **sizes)):
        with pytest.raises(ValueError, match="must be at least 1"):
            make()


def test_orthogonal_weights_keep_lengths_times_their_gain():
    generator = MLPGenerator(16, (2,), False, width=16, depth=2, orthogonal_gain=1.4)
    first, second, _ = (module for module in generator.modules() if isinstance(module, nn.Linear))
    for layer in (first, second):
        assert torch.allclose(layer.weight @ layer.weight.T, 1.4**2 * torch.eye(16), atol=1e-5)
        assert not layer.bias.any()
