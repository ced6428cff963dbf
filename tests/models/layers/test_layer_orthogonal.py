"""Test orthonormal weights by their singular values, before and after training, and the Lipschitz bound."""

import pytest
import torch
from torch import nn

from gan_runner.constraints.weight_clipping import WeightClipping
from gan_runner.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_runner.models.layers.orthogonal import Orthogonal
from gan_runner.models.maxout import MaxoutDiscriminator
from gan_runner.models.mlp import MLPDiscriminator

SHAPES = [(5, 9), (9, 5), (7, 7), (1, 6), (6, 1), (4, 2, 3, 3), (64, 2, 4, 4)]
CRITICS = {
    "dcgan": lambda: DCGANDiscriminator((1, 16, 16), width=8, norm="none", weight_norm="orthogonal"),
    "maxout": lambda: MaxoutDiscriminator((1, 16, 16), width=16, weight_norm="orthogonal"),
    "mlp": lambda: MLPDiscriminator((1, 16, 16), width=16, weight_norm="orthogonal"),
}


def singular_values(network):
    """The singular values of every layer's weight as a matrix (outputs, inputs)."""
    values = []
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.detach()
            outputs_first = weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight
            values.append(torch.linalg.svdvals(outputs_first.flatten(1)))
    return values


def all_one(values):
    return all(torch.allclose(value, torch.ones_like(value), atol=1e-5) for value in values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_every_singular_value_is_one(shape, dim):
    weight = Orthogonal(dim)(torch.randn(*shape))
    assert weight.shape == shape
    assert all_one([torch.linalg.svdvals(weight.transpose(0, dim).flatten(1))])


def test_orthogonal_equals_gram_schmidt():
    rows, kept = torch.randn(4, 9, dtype=torch.float64), []
    for row in rows:
        for earlier in kept:
            row = row - (row @ earlier) * earlier
        kept.append(row / row.norm())
    torch.testing.assert_close(Orthogonal()(rows), torch.stack(kept))
    torch.testing.assert_close(Orthogonal()(rows.T.contiguous()), torch.stack(kept).T)


def test_an_orthonormal_weight_is_kept_whatever_its_scale():
    weight = Orthogonal()(torch.randn(5, 9, dtype=torch.float64))
    torch.testing.assert_close(Orthogonal()(weight), weight)
    torch.testing.assert_close(Orthogonal()(torch.rand(5, 1) * weight), weight)
    torch.testing.assert_close(Orthogonal().right_inverse(3 * weight), weight)


@pytest.mark.parametrize("shape", SHAPES[:6], ids=str)
def test_second_derivatives_exist(shape):
    weight = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Orthogonal(), weight)
    assert torch.autograd.gradgradcheck(Orthogonal(), weight)


def descend(network, steps):
    """Train a Wasserstein critic with Adam and weight decay, which would break torch's Householder map."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.5, 0.999), weight_decay=1e-2)
    for _ in range(steps):
        real, fake = torch.rand(8, 1, 16, 16), torch.randn(8, 1, 16, 16)
        optimizer.zero_grad()
        (network(fake).mean() - network(real).mean()).backward()
        optimizer.step()
        yield


@pytest.mark.parametrize("model", CRITICS)
def test_singular_values_are_one_after_every_step(model):
    torch.manual_seed(0)
    network = CRITICS[model]()
    before = [p.detach().clone() for p in network.parameters() if p.dim() > 1]
    for _ in descend(network, 20):
        assert all_one(singular_values(network))
    after = [p for p in network.parameters() if p.dim() > 1]
    assert len(singular_values(network)) == len(after) == {"dcgan": 3, "maxout": 3, "mlp": 4}[model]
    assert all((p - old).abs().max() > 1e-2 for p, old in zip(after, before, strict=True))


def test_relu_critic_is_lipschitz_after_every_step():
    torch.manual_seed(0)
    network = CRITICS["mlp"]()
    x, y = torch.randn(200, 1, 16, 16), torch.randn(200, 1, 16, 16)
    for _ in descend(network, 20):
        with torch.no_grad():
            assert ((network(x) - network(y)).abs() <= (x - y).flatten(1).norm(dim=1) * (1 + 1e-5)).all()


def test_lipschitz_constant_of_a_convolution_is_bounded_by_the_root_of_its_overlap():
    torch.manual_seed(0)
    network = CRITICS["dcgan"]()
    layer = network.trunk[0]  # kernel 4, stride 2: a pixel lies in 4 patches
    with torch.no_grad():
        layer.bias.zero_()
        x = torch.randn(1, 1, 16, 16)
        for _ in range(200):  # power iteration on the layer's square
            x = torch.nn.functional.conv_transpose2d(layer(x / x.norm()), layer.weight, None, 2, 1)
    assert 1 < x.norm().sqrt() <= 2 + 1e-5


def test_outputs_of_transposed_convolutions_are_in_dimension_one():
    network = DCGANGenerator(4, (1, 16, 16), width=8, weight_norm="orthogonal")
    assert len(singular_values(network)) == 3
    assert all_one(singular_values(network))


def test_clipping_changes_directions_but_not_norms():
    network = CRITICS["mlp"]()
    WeightClipping({"discriminator": network}, 0.01)()
    assert all_one(singular_values(network))
