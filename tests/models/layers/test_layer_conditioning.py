"""Test layers that take a condition."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm

from gan_runner.models.dcgan import DCGANGenerator
from gan_runner.models.infogan import InfoGANGenerator
from gan_runner.models.layers.conditioning import Chain, ConditionalBatchNorm
from gan_runner.models.mlp import MLPGenerator
from gan_runner.models.resnet import ResNetGenerator
from gan_runner.models.salimans import SoftplusGenerator


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 3)])
def test_each_class_has_a_gain_and_a_bias_of_its_own(shape):
    torch.manual_seed(0)
    layer, x, label = ConditionalBatchNorm(4, 3, spatial=len(shape) == 4), torch.randn(shape), torch.arange(6) % 3
    found = layer(x, torch.eye(3)[label])
    for k in range(3):
        by_hand = batch_norm(
            x, None, None, 1 + layer.gain.weight[:, k], layer.bias.weight[:, k], training=True
        )  # the layer's own gain and bias start at 1 and 0
        torch.testing.assert_close(found[label == k], by_hand[label == k])


def test_chain_passes_the_condition_to_conditioned_layers():
    torch.manual_seed(0)
    inner = ConditionalBatchNorm(4, 3, spatial=False)
    chain, x, y = Chain(nn.Linear(5, 4), Chain(inner, nn.ReLU())), torch.randn(6, 5), torch.rand(6, 3)
    torch.testing.assert_close(chain(x, y), inner(chain[0](x), y).relu())


def test_conditional_norm_without_a_condition_is_refused():
    with pytest.raises(ValueError, match="norm=conditional needs a condition; choose norm=batch"):
        DCGANGenerator(4, (1, 8, 8), width=4, norm="conditional")


GENERATORS = {
    "dcgan": DCGANGenerator,
    "infogan": InfoGANGenerator,
    "mlp": partial(MLPGenerator, bounded=True),
    "mlp with orthogonal weights": partial(MLPGenerator, bounded=True, orthogonal_gain=1.0),
    "resnet": ResNetGenerator,
    "salimans": partial(SoftplusGenerator, bounded=True),
}


@pytest.mark.parametrize("weight_norm", ["none", "weight", "spectral", "orthogonal"])
@pytest.mark.parametrize("generator", GENERATORS)
def test_gains_start_near_one_and_biases_near_zero(generator, weight_norm):
    """N(1, 0.02²) and N(0, 0.02²), as those of DCGAN's batch norm, also after the data-dependent initialisation."""
    options = {"norm": "conditional", "condition_dim": 6, "weight_norm": weight_norm, "width": 32}
    network = GENERATORS[generator](4, (1, 8, 8), **options)
    network.prepare(torch.cat([torch.randn(12, 4), torch.eye(6).repeat(2, 1)], 1), torch.randn(12, 1, 8, 8))
    layers = [layer for layer in network.modules() if isinstance(layer, ConditionalBatchNorm)]
    assert layers
    for maps in ([layer.gain for layer in layers], [layer.bias for layer in layers]):
        values = torch.cat([each(torch.eye(6)).flatten() for each in maps])
        assert values.mean().item() == pytest.approx(0, abs=4 * 0.02 / len(values) ** 0.5)
        assert values.std().item() == pytest.approx(0.02, rel=4 / (2 * len(values)) ** 0.5)
