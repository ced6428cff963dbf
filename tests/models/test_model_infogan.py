"""Test that InfoGAN's networks have the paper's sizes and refuse other data."""

import pytest
import torch
from torch import nn

from gan_runner.models.infogan import InfoGANDiscriminator, InfoGANGenerator
from gan_runner.models.recognition import Recognition


def layers_of(network):
    """The layers with weights: type, inputs and outputs."""
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    sizes = {"Linear": ("in_features", "out_features")}
    found = [module for module in network.modules() if isinstance(module, kinds)]
    names = [type(module).__name__ for module in found]
    return [
        (name, *(getattr(module, size) for size in sizes.get(name, ("in_channels", "out_channels"))))
        for name, module in zip(names, found)
    ]


def test_layers_equal_the_paper():
    """Appendix C.1: FC 1024, FC 7·7·128, deconv 64, deconv 1; conv 64, conv 128, FC 1024; FC 128 for Q."""
    generator = InfoGANGenerator(62, (1, 28, 28), condition_dim=12)
    discriminator, q = InfoGANDiscriminator((1, 28, 28)), Recognition(1024, 12)
    assert layers_of(generator) == [
        ("Linear", 74, 1024),
        ("Linear", 1024, 7 * 7 * 128),
        ("ConvTranspose2d", 128, 64),
        ("ConvTranspose2d", 64, 1),
    ]
    assert layers_of(discriminator) == [
        ("Conv2d", 1, 64),
        ("Conv2d", 64, 128),
        ("Linear", 7 * 7 * 128, 1024),
        ("Linear", 1024, 1),
    ]
    assert layers_of(q) == [("Linear", 1024, 128), ("Linear", 128, 12)]
    images = generator(torch.randn(3, 74))
    features = discriminator.features(images)
    assert (images.shape, features.shape, q(features).shape) == ((3, 1, 28, 28), (3, 1024), (3, 12))
    assert discriminator.num_features == 1024


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 12, 12)])
def test_any_side_that_can_be_halved_twice_works(shape):
    images = InfoGANGenerator(5, shape, width=2, hidden=8)(torch.randn(4, 5))
    assert images.shape == (4, *shape)
    assert InfoGANDiscriminator(shape, width=2, hidden=8)(images).shape == (4,)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 30, 30), "cannot be halved twice; choose a multiple of 4"), ((2,), "needs square images")],
)
def test_other_data_is_refused(shape, message):
    for make in (InfoGANDiscriminator, lambda shape: InfoGANGenerator(4, shape)):
        with pytest.raises(ValueError, match=message):
            make(shape)


def test_q_without_a_hidden_layer_is_linear():
    q = Recognition(6, 4, depth=0)
    x, y = torch.randn(2, 5, 6)
    torch.testing.assert_close(q(x + y) + q(torch.zeros(5, 6)), q(x) + q(y))
