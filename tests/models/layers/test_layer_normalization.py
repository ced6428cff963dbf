"""Test the options `norm` and `weight_norm`: statistics of activations, and singular values of weights."""

import pytest
import torch
from torch import nn

from gan_runner.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_runner.models.layers.normalization import normalization, reparametrize
from gan_runner.models.maxout import MaxoutDiscriminator
from gan_runner.models.mlp import MLPDiscriminator

SPATIAL, FLAT = (8, 6, 5, 5), (8, 6)
AVERAGED = {
    ("batch", SPATIAL): (0, 2, 3),
    ("batch", FLAT): (0,),
    ("layer", SPATIAL): (1, 2, 3),
    ("layer", FLAT): (1,),
    ("instance", SPATIAL): (2, 3),
}
"""The dimensions over which a norm makes the mean zero and the variance one."""


@pytest.mark.parametrize(("norm", "shape"), AVERAGED, ids=str)
def test_activations_are_standardised(norm, shape):
    x = 5 * torch.randn(*shape, dtype=torch.float64) + torch.arange(6.0).view(1, 6, *[1] * (len(shape) - 2))
    y = normalization(norm, 6, len(shape) == 4, 1).double()(x)
    over = AVERAGED[norm, shape]
    mean, variance = x.mean(over, keepdim=True), x.var(over, correction=0, keepdim=True)
    torch.testing.assert_close(y, (x - mean) / (variance + 1e-5).sqrt())


@pytest.mark.parametrize("shape", [SPATIAL, FLAT])
def test_none_does_not_change_activations(shape):
    x = torch.randn(*shape)
    assert torch.equal(normalization("none", 6, len(shape) == 4, 1)(x), x)


def test_every_norm_has_a_gain_and_bias_for_each_channel():
    for norm in ("batch", "layer", "instance", "virtual"):
        layer = normalization(norm, 6, True, 1)
        assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
            "weight": (6,),
            "bias": (6,),
        }


def test_instance_norm_of_vectors_is_refused():
    with pytest.raises(ValueError, match="norm=instance needs images"):
        normalization("instance", 6, False, 1)


def effective_matrix(module):
    """The effective weight as a matrix (outputs, inputs)."""
    weight = module.weight.detach()
    return (weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight).flatten(1)


def largest_singular_values(network):
    network.eval()  # stops the power iteration
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    return [torch.linalg.svdvals(effective_matrix(m))[0].item() for m in network.modules() if isinstance(m, kinds)]


SPECTRAL = {
    "dcgan": lambda: DCGANDiscriminator((1, 16, 16), width=8, norm="none", weight_norm="spectral"),
    "maxout": lambda: MaxoutDiscriminator((1, 16, 16), width=16, weight_norm="spectral"),
    "mlp": lambda: MLPDiscriminator((1, 16, 16), width=16, weight_norm="spectral"),
}


@pytest.mark.parametrize("model", SPECTRAL)
def test_spectral_norms_stay_one_in_training(model):
    torch.manual_seed(0)
    network = SPECTRAL[model]()
    weights = [p for p in network.parameters() if p.dim() > 1]
    original = [p.detach().clone() for p in weights]
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for _ in range(60):
        real, fake = torch.rand(8, 1, 16, 16), torch.randn(8, 1, 16, 16)
        optimizer.zero_grad()
        (network(fake).mean() - network(real).mean()).backward()
        optimizer.step()
    assert all((p - old).abs().max() > 1e-3 for p, old in zip(weights, original, strict=True))
    values = largest_singular_values(network)
    assert len(values) == {"dcgan": 3, "maxout": 3, "mlp": 4}[model]
    assert max(values) <= 1.2  # one power iteration a pass lags a little behind the optimizer
    network.train()
    with torch.no_grad():
        for _ in range(100):
            network(real)
    assert max(largest_singular_values(network)) <= 1.01
    assert min(values) >= 1 - 1e-5  # a power iteration never overestimates


def test_spectral_norm_of_transposed_convolutions():
    torch.manual_seed(0)
    network = DCGANGenerator(4, (1, 16, 16), width=8, weight_norm="spectral")
    for _ in range(60):
        network(torch.randn(4, 4))
    torch.testing.assert_close(torch.tensor(largest_singular_values(network)), torch.ones(3), rtol=1e-3, atol=0)


def test_spectrally_normalised_relu_network_is_lipschitz():
    torch.manual_seed(0)
    network = SPECTRAL["mlp"]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 10
        for _ in range(100):
            network(torch.randn(2, 1, 16, 16))  # a power iteration each
        x, y = torch.randn(200, 1, 16, 16), torch.randn(200, 1, 16, 16)
        assert ((network(x) - network(y)).abs() <= (x - y).flatten(1).norm(dim=1) * 1.001).all()


def test_none_reparametrises_nothing():
    network = nn.Sequential(nn.Linear(2, 2))
    before = dict(network.named_parameters())
    reparametrize(network, "none")
    assert dict(network.named_parameters()) == before
