"""Test DCGAN's sizes, its five guidelines and its initial weights."""

import pytest
import torch
from torch import nn

from gan_runner.models.dcgan import DCGANDiscriminator, DCGANGenerator

SIDES = [8, 16, 32, 64, 128, 28, 20, 24]


def leaves(network):
    return [module for module in network.modules() if not list(module.children()) and not is_empty(module)]


def is_empty(module):
    return isinstance(module, nn.Sequential) and not len(module)


def kinds(network):
    return [type(module).__name__ for module in leaves(network)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_shapes(side, channels):
    shape = (channels, side, side)
    generator, discriminator = DCGANGenerator(5, shape, width=2), DCGANDiscriminator(shape, width=2)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, *shape)
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("side", SIDES)
def test_sides_halve_and_widths_double_down_to_a_few_pixels(side):
    discriminator, shapes = DCGANDiscriminator((1, side, side), width=2), []
    for module in leaves(discriminator):
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    discriminator(torch.zeros(2, 1, side, side))
    assert shapes == [(2 * 2**i, side // 2 ** (i + 1), side // 2 ** (i + 1)) for i in range(len(shapes))]
    assert 4 <= shapes[-1][1] <= 7


def test_generator_mirrors_the_discriminator():
    generator, discriminator = (
        DCGANGenerator(5, (3, 32, 32), width=4),
        DCGANDiscriminator((3, 32, 32), width=4),
    )
    up = [m.weight.shape for m in leaves(generator) if isinstance(m, nn.ConvTranspose2d)]
    down = [m.weight.shape for m in leaves(discriminator) if isinstance(m, nn.Conv2d)]
    assert up[1:] == down[::-1]
    assert up[0] == (5, 16, 4, 4)


def test_generator_follows_the_guidelines():
    network = DCGANGenerator(100, (3, 32, 32), width=4)
    block = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]  # no pooling, no fully connected layer, ReLU
    assert kinds(network) == ["Unflatten", *3 * block, "ConvTranspose2d", "Tanh"]  # no norm at the output
    strides = [m.stride for m in leaves(network) if isinstance(m, nn.ConvTranspose2d)]
    assert strides == [(1, 1), (2, 2), (2, 2), (2, 2)]  # the first maps 1 × 1 to 4 × 4


def test_discriminator_follows_the_guidelines():
    network = DCGANDiscriminator((3, 32, 32), width=4)
    block = ["Conv2d", "BatchNorm2d", "LeakyReLU"]  # no pooling, no fully connected hidden layer
    assert kinds(network) == ["Conv2d", "LeakyReLU", *2 * block, "Flatten", "Linear"]  # no norm at the input
    convolutions = [m for m in leaves(network) if isinstance(m, nn.Conv2d)]
    assert all(m.stride == (2, 2) for m in convolutions)
    assert {m.negative_slope for m in leaves(network) if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert leaves(network)[-1].out_features == 1


def test_unbounded_data_has_no_tanh():
    assert "Tanh" not in kinds(DCGANGenerator(5, (1, 8, 8), bounded=False, width=2))


def test_number_of_weights_equals_the_reference_network():
    """PyTorch's DCGAN example at 64 px has 3,576,704 and 2,765,568 weights, without biases."""
    with torch.device("meta"):
        generator, discriminator = DCGANGenerator(100, (3, 64, 64)), DCGANDiscriminator((3, 64, 64))
    output_bias, first_bias, score_bias = 3, 64, 1
    assert sum(p.numel() for p in generator.parameters()) == 3_576_704 + output_bias
    assert sum(p.numel() for p in discriminator.parameters()) == 2_765_568 + first_bias + score_bias


@pytest.mark.parametrize("network", [lambda: DCGANGenerator(64, (3, 32, 32)), lambda: DCGANDiscriminator((3, 32, 32))])
def test_initial_weights(network):
    torch.manual_seed(0)
    network = network()
    for module in leaves(network):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            error = 4 / module.weight.numel() ** 0.5
            assert module.weight.mean().abs() < 0.02 * error
            assert module.weight.std().item() == pytest.approx(0.02, rel=error)
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.4)
            assert not module.bias.any()


def test_layers_before_a_norm_have_no_bias():
    for norm, without in (("batch", 3), ("none", 0)):
        network = DCGANGenerator(5, (3, 32, 32), width=2, norm=norm)
        biases = [m.bias for m in leaves(network) if isinstance(m, nn.ConvTranspose2d)]
        assert [bias is None for bias in biases] == [index < without for index in range(4)]


@pytest.mark.parametrize("shape", [(2,), (3, 16), (1, 8, 16), (1, 8, 8, 8)])
def test_data_other_than_square_images_is_refused(shape):
    for network in (lambda: DCGANGenerator(5, shape), lambda: DCGANDiscriminator(shape)):
        with pytest.raises(ValueError, match="needs square images"):
            network()


@pytest.mark.parametrize("side", [1, 4, 6, 7, 9, 18, 30, 100, 127])
def test_sides_that_cannot_be_halved_are_refused(side):
    for network in (lambda: DCGANGenerator(5, (1, side, side)), lambda: DCGANDiscriminator((1, side, side))):
        with pytest.raises(ValueError, match=f"image_size={side} cannot be halved"):
            network()
