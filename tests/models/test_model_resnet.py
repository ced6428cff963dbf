"""Test residual networks: the published layers, all sizes, each branch of a block, initial weights."""

import pytest
import torch
from torch import nn

from gan_runner.models.resnet import (
    ResidualBlock,
    ResNetDiscriminator,
    ResNetGenerator,
    downsampling_block,
    first_block,
    plain_block,
    upsampling_block,
)

SIDES = [8, 16, 32, 64, 128, 28, 20, 24]
RESIZING = {upsampling_block: 2, plain_block: 1, downsampling_block: 0.5}


def blocks(network):
    return [module for module in network.modules() if isinstance(module, ResidualBlock)]


def maps_of(network, inputs):
    """The output shapes of its blocks for one sample."""
    shapes = []
    for block in blocks(network):
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    network(inputs)
    return shapes


def silent(layers):
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


def passing(block):
    """Make the shortcut's 1×1 convolution the identity."""
    for module in block.shortcut.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
            nn.init.zeros_(module.bias)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_shapes(side, channels):
    shape = (channels, side, side)
    generator, discriminator = ResNetGenerator(5, shape, width=2), ResNetDiscriminator(shape, width=2)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)


def test_blocks_at_32_px_equal_the_published_ones():
    generator, discriminator = ResNetGenerator(5, (3, 32, 32), width=2), ResNetDiscriminator((3, 32, 32), width=2)
    assert maps_of(generator, torch.randn(2, 5)) == [(2, 8, 8), (2, 16, 16), (2, 32, 32)]
    assert maps_of(discriminator, torch.randn(2, 3, 32, 32)) == [(2, 16, 16), (2, 8, 8), (2, 8, 8), (2, 8, 8)]


@pytest.mark.parametrize(
    ("side", "up", "down"),
    [
        (8, [8], [4, 4, 4]),
        (16, [8, 16], [8, 8, 8]),
        (28, [14, 28], [14, 7, 7, 7]),
        (64, [8, 16, 32, 64], [32, 16, 8, 8, 8]),
    ],
)
def test_other_sides_have_more_or_fewer_blocks(side, up, down):
    generator, discriminator = (
        ResNetGenerator(5, (1, side, side), width=2),
        ResNetDiscriminator((1, side, side), width=2),
    )
    assert [shape[1] for shape in maps_of(generator, torch.randn(2, 5))] == up
    assert [shape[1] for shape in maps_of(discriminator, torch.randn(2, 1, side, side))] == down


def test_number_of_weights_equals_the_tables():
    """Test 128 channels and latents of 128, with biases in all convolutions and batch norm in the generator."""
    conv3, conv1, norm = 128 * 128 * 9 + 128, 128 * 128 + 128, 2 * 128
    dense, to_image, from_image, first_shortcut = 129 * 128 * 16, (128 * 9 + 1) * 3, (3 * 9 + 1) * 128, (3 + 1) * 128
    with torch.device("meta"):
        generator, discriminator = ResNetGenerator(128, (3, 32, 32)), ResNetDiscriminator((3, 32, 32))
    up = 3 * (2 * conv3 + conv1 + 2 * norm)
    assert sum(p.numel() for p in generator.parameters()) == dense + up + norm + to_image == 1_204_483
    down = from_image + conv3 + first_shortcut + 2 * conv3 + conv1 + 2 * 2 * conv3
    assert sum(p.numel() for p in discriminator.parameters()) == down + 129 == 1_053_825


@pytest.mark.parametrize(("make", "factor"), RESIZING.items())
def test_a_block_with_zero_residual_only_resizes(make, factor):
    block, x = make(3, nn.BatchNorm2d), torch.randn(2, 3, 8, 8)
    silent(block.residual)
    passing(block)
    mode = "area" if factor < 1 else "nearest"
    assert torch.equal(block(x), nn.functional.interpolate(x, scale_factor=factor, mode=mode))


def test_the_first_block_with_zero_residual_is_linear_in_the_smaller_image():
    block, x = first_block(3, 4), torch.randn(2, 3, 8, 8)
    silent(block.residual)
    smaller = x.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    torch.testing.assert_close(block(x), nn.functional.conv2d(smaller, *block.shortcut[1].parameters()))


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("make", [upsampling_block, downsampling_block])
def test_shortcuts_convolution_commutes_with_resizing(make):
    """Test that the order of the papers, with the convolution on the larger image, gives the same result."""
    block, x = make(3, nn.BatchNorm2d), torch.randn(2, 3, 8, 8)
    first, second = block.shortcut
    torch.testing.assert_close(second(first(x)), first(second(x)))


@pytest.mark.parametrize("make", RESIZING)
def test_a_constant_image_stays_constant_inside(make):
    """Test pixels away from the border, where zero padding has no effect."""
    image = make(3, nn.Identity)(torch.randn(1, 3, 1, 1).expand(1, 3, 16, 16))
    inside = image[:, :, 3:-3, 3:-3]
    torch.testing.assert_close(inside, inside[:, :, :1, :1].expand_as(inside))


def test_sum_pooling_is_mean_pooling_times_the_number_of_pixels():
    mean, total = (ResNetDiscriminator((1, 16, 16), width=4, pooling=pooling) for pooling in ("mean", "sum"))
    total.load_state_dict(mean.state_dict())
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(total.features(x), 8 * 8 * mean.features(x))


def test_norms_are_in_the_published_places():
    kinds = [type(module).__name__ for module in ResNetGenerator(5, (3, 32, 32), width=2).modules()]
    assert kinds.count("BatchNorm2d") == 2 * 3 + 1
    assert kinds[-4:] == ["BatchNorm2d", "ReLU", "Conv2d", "Tanh"]
    discriminator = ResNetDiscriminator((3, 32, 32), width=2, norm="layer")
    assert [sum(isinstance(m, nn.GroupNorm) for m in block.modules()) for block in blocks(discriminator)] == [
        0,
        2,
        2,
        2,
    ]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in ResNetDiscriminator((3, 32, 32), width=2).modules())


@pytest.mark.parametrize("make", [lambda: ResNetGenerator(64, (3, 32, 32)), lambda: ResNetDiscriminator((3, 32, 32))])
def test_initial_weights(make):
    """Test the variance 2 gain² / (fan in + fan out), with gain √2 in residual branches."""
    torch.manual_seed(0)
    network = make()
    residual = {layer for block in blocks(network) for layer in block.residual}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            outputs, inputs = module.weight.shape[:2]
            fans = (outputs + inputs) * module.weight[0, 0].numel()
            std = ((4 if module in residual else 2) / fans) ** 0.5
            assert module.weight.std().item() == pytest.approx(std, rel=4 / module.weight.numel() ** 0.5)
            assert module.weight.abs().max() <= std * 3**0.5
            assert not module.bias.any()


def test_gradient_penalties_are_differentiable():
    """Test that gradient penalties have gradients in every layer."""
    discriminator = ResNetDiscriminator((1, 8, 8), width=2, pooling="sum").double()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(discriminator, x)
    torch.autograd.gradgradcheck(discriminator, x, fast_mode=True)


@pytest.mark.parametrize("shape", [(2,), (3, 16), (1, 8, 16)])
def test_data_other_than_square_images_is_refused(shape):
    for network in (lambda: ResNetGenerator(5, shape), lambda: ResNetDiscriminator(shape)):
        with pytest.raises(ValueError, match="needs square images"):
            network()


def test_a_width_of_zero_is_refused():
    for network in (lambda: ResNetGenerator(5, (1, 8, 8), width=0), lambda: ResNetDiscriminator((1, 8, 8), width=0)):
        with pytest.raises(ValueError, match="width must be at least 1"):
            network()
