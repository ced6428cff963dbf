"""Test that virtual batch norm is batch norm of the reference batch with one sample added."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm

from gan_runner.models.layers.virtual_batch_norm import VirtualBatchNorm

SHAPES = [(3,), (3, 4, 2), (3, 1, 1)]
SIZE = 5


@pytest.fixture(params=SHAPES, ids=str)
def batch(request):
    """A reference batch and six other samples, whose channels differ in mean and deviation."""
    torch.manual_seed(0)
    x = torch.randn(SIZE + 6, *request.param, dtype=torch.float64)
    scale = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64).view(1, 3, *[1] * (len(request.param) - 1))
    return scale * (x + 2)


@pytest.fixture
def layer():
    layer = VirtualBatchNorm(3, SIZE).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


def plain(x, layer):
    """Batch norm by the statistics of this batch."""
    return batch_norm(x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)


def test_each_sample_is_normalised_by_the_reference_batch_and_itself(layer, batch):
    reference, others = batch[:SIZE], batch[SIZE:]
    expected = [plain(torch.cat([reference, one]), layer)[-1:] for one in others.split(1)]
    torch.testing.assert_close(layer(batch)[SIZE:], torch.cat(expected))


def test_reference_is_normalised_by_itself(layer, batch):
    torch.testing.assert_close(layer(batch)[:SIZE], plain(batch[:SIZE], layer))


def test_samples_do_not_depend_on_their_batch(layer, batch):
    changed = batch.clone()
    changed[SIZE + 1 :] += 100
    assert torch.equal(layer(changed)[: SIZE + 1], layer(batch)[: SIZE + 1])
    assert not torch.allclose(layer(changed)[SIZE + 1 :], layer(batch)[SIZE + 1 :])


def test_output_is_the_bias_if_the_reference_batch_equals_the_sample(layer):
    x = torch.randn(1, 3, dtype=torch.float64).expand(SIZE + 1, 3)
    torch.testing.assert_close(layer(x), layer.bias.expand(SIZE + 1, 3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_invariant_to_shift_and_scale_of_channels(layer, shape):
    torch.manual_seed(0)
    x = 3 * torch.randn(SIZE + 6, *shape, dtype=torch.float64)
    torch.testing.assert_close(layer(100 * x - 7), layer(x), rtol=0, atol=1e-4)  # but for eps


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_activations_far_from_zero_keep_precision(shape):
    layer, x = VirtualBatchNorm(3, SIZE), torch.randn(SIZE + 6, *shape)
    torch.testing.assert_close(layer(x + 4096), layer(x), rtol=0, atol=0.01)  # float32 keeps steps of 0.0005


def test_gradients_equal_finite_differences(layer, batch):
    assert torch.autograd.gradcheck(layer, (batch.clone().requires_grad_(),))
    slopes = torch.autograd.grad(layer(batch)[SIZE:].square().sum(), list(layer.parameters()))
    assert all(slope.abs().min() > 0 for slope in slopes)
