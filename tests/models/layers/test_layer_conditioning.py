"""Test layers that take a condition."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm

from gan_runner.models.dcgan import DCGANGenerator
from gan_runner.models.layers.conditioning import Chain, ConditionalBatchNorm


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
