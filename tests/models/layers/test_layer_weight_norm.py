"""Test norms and directions of weight normalisation, and its initialisation from data."""

import copy

import pytest
import torch
from torch import nn

from gan_runner.constraints.ema import EMA
from gan_runner.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_runner.models.layers.gaussian_noise import GaussianNoise
from gan_runner.models.layers.normalization import reparametrize
from gan_runner.models.layers.weight_norm import normalize_weight, normalized_weights, standardize
from gan_runner.models.mlp import MLPDiscriminator

LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (40, 6), 0),
    "convolution": (lambda: nn.Conv2d(3, 5, 3), (40, 3, 6, 6), 0),
    "transposed": (lambda: nn.ConvTranspose2d(3, 5, 4, 2), (40, 3, 4, 4), 1),
}


def rows(weight, dim):
    """A weight as a matrix with one row for each output."""
    return weight.transpose(0, dim).flatten(1)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_weight_has_the_learned_norm_and_the_direction_of_v(kind):
    make, _, dim = LAYERS[kind]
    layer = make().double()
    before = layer.weight.detach().clone()
    reparametrize(layer, "weight")
    torch.testing.assert_close(layer.weight, before)
    ((_, normalized),) = normalized_weights(layer)
    v = layer.parametrizations.weight.original
    with torch.no_grad():
        normalized.gain.copy_(torch.rand_like(normalized.gain) + 0.5)
        v *= 7
    weight = rows(layer.weight.detach(), dim)
    torch.testing.assert_close(weight.norm(dim=1), normalized.gain.detach().flatten())
    torch.testing.assert_close(nn.functional.normalize(weight), nn.functional.normalize(rows(before, dim)))


def test_gradients_equal_equation_3():
    layer = nn.Linear(4, 3).double()
    reparametrize(layer, "weight")
    ((_, normalized),) = normalized_weights(layer)
    v, x = layer.parametrizations.weight.original, torch.randn(8, 4, dtype=torch.float64)
    weight = layer.weight
    loss = (x @ weight.T).sin().sum()
    of_weight, of_v, of_g = torch.autograd.grad(loss, (weight, v, normalized.gain))
    unit = v / v.norm(dim=1, keepdim=True)
    by_g = (of_weight * unit).sum(1, keepdim=True)
    torch.testing.assert_close(of_g, by_g)
    torch.testing.assert_close(of_v, normalized.gain / v.norm(dim=1, keepdim=True) * (of_weight - by_g * unit))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_standardised_on_its_data(kind):
    make, shape, _ = LAYERS[kind]
    layer, x = make().double(), 3 * torch.randn(*shape, dtype=torch.float64) + 2
    reparametrize(layer, "weight")
    standardize(layer, x)
    y = layer(x)
    over = [0, *range(2, y.dim())]
    torch.testing.assert_close(y.mean(over), torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(y.std(over, correction=0), torch.ones(5, dtype=torch.float64))


def pre_activations(network, x):
    """The outputs of each layer with weight norm."""
    seen = []
    handles = [
        layer.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
        for layer, _ in normalized_weights(network)
    ]
    network(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("model", ["mlp", "dcgan"])
def test_prepared_networks_are_standardised_in_every_layer(model):
    x = torch.rand(64, 1, 16, 16) * 2 - 1
    network = {
        "mlp": lambda: MLPDiscriminator((1, 16, 16), width=16, weight_norm="weight"),
        "dcgan": lambda: DCGANDiscriminator((1, 16, 16), width=4, norm="none", weight_norm="weight"),
    }[model]()
    network.prepare(x, x)
    seen = pre_activations(network, x)
    assert len(seen) == {"mlp": 4, "dcgan": 3}[model]
    for y in seen:
        over = [0, *range(2, y.dim())]
        torch.testing.assert_close(y.mean(over), torch.zeros(y.shape[1]), atol=1e-10, rtol=0)
        torch.testing.assert_close(y.var(over, correction=0), torch.ones(y.shape[1]))


@pytest.mark.usefixtures("_float64")
def test_a_generator_is_standardised_on_its_inputs():
    network = DCGANGenerator(4, (1, 16, 16), width=4, bounded=False, norm="none", weight_norm="weight")
    z = torch.randn(64, 4)
    network.prepare(z, torch.rand(64, 1, 16, 16))
    y = network(z)
    assert abs(y.mean().item()) < 1e-10
    assert y.var(correction=0).item() == pytest.approx(1)


@pytest.mark.usefixtures("_float64")
def test_a_constant_unit_stays_finite():
    layer = nn.Linear(3, 2)
    reparametrize(layer, "weight")
    standardize(layer, torch.ones(8, 3))
    torch.testing.assert_close(layer(torch.ones(1, 3)), torch.zeros(1, 2))


def test_networks_without_weight_norm_are_unchanged():
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Linear(2, 2))
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    standardize(network, torch.randn(8, 3, generator=torch.Generator()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    normalize_weight(network[0], standardized=False)
    before = copy.deepcopy(network.state_dict())
    standardize(network, torch.randn(8, 3))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_frozen_gain_is_initialised_but_not_trained():
    layer = nn.Linear(3, 2)
    reparametrize(layer, "weight")
    ((_, normalized),) = normalized_weights(layer)
    names = {name for name, _ in layer.named_parameters()}
    normalized.freeze()
    assert names - {name for name, _ in layer.named_parameters()} == {"parametrizations.weight.0.gain"}
    assert "parametrizations.weight.0.gain" in layer.state_dict()
    x = torch.randn(50, 3)
    standardize(layer, x)
    torch.testing.assert_close(layer(x).std(0, correction=0), torch.ones(2))
    average = EMA({"layer": layer}, decay=0.5)
    average()
    torch.testing.assert_close(average.averages["layer"].weight.norm(dim=1), layer.weight.norm(dim=1))


def test_noise_is_added_in_training_only():
    layer, x = GaussianNoise(0.5), torch.zeros(20_000, 3)
    assert layer(x).std().item() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(GaussianNoise(0.0)(x), x)
    with pytest.raises(ValueError, match="0 or more"):
        GaussianNoise(-1.0)
