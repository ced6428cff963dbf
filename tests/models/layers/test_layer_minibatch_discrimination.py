"""Test minibatch discrimination against the paper's formula in loops, and its consequences."""

import math

import pytest
import torch

from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return MinibatchDiscrimination(4, kernels=3, kernel_dim=2).double()


def features(n):
    return torch.randn(n, 4, dtype=torch.float64)


def test_similarity_equals_the_formula_of_the_paper(layer):
    x = features(5)
    tensor = layer.projection.detach().reshape(4, 3, 2)  # T in R^{A×B×C}
    for i in range(5):
        for b in range(3):
            similarity = 0.0
            for j in range(5):
                rows = [sum(x[k, a] * tensor[a, b] for a in range(4)) for k in (i, j)]
                similarity += math.exp(-(rows[0] - rows[1]).abs().sum().item())
            own = 1.0  # the term j = i, which the layer leaves out
            assert layer(x)[i, 4 + b].item() == pytest.approx(similarity - own, rel=1e-10)


def test_features_are_kept(layer):
    x = features(5)
    assert layer(x).shape == (5, layer.out_features)
    assert layer.out_features == 4 + 3
    assert torch.equal(layer(x)[:, :4], x)


def test_order_of_the_batch_does_not_matter(layer):
    x, order = features(7), torch.tensor([3, 0, 6, 2, 1, 5, 4])
    torch.testing.assert_close(layer(x[order]), layer(x)[order])


def test_a_collapsed_batch_has_maximal_similarity(layer):
    x = features(1).expand(6, 4)
    torch.testing.assert_close(layer.similarity(x), torch.full((6, 3), 5.0, dtype=torch.float64))


def test_a_single_sample_has_similarity_zero(layer):
    assert layer.similarity(features(1)).abs().max() < 1e-15


def test_similarity_decreases_with_distance(layer):
    near, far = (layer.similarity(scale * features(6)) for scale in (0.01, 100.0))
    assert near.min() > 4.5
    assert far.max() < 0.1


def test_gradients_equal_finite_differences(layer):
    assert torch.autograd.gradcheck(layer, (features(4).requires_grad_(),))


@pytest.mark.parametrize("sizes", [{"kernels": 0}, {"kernel_dim": 0}])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        MinibatchDiscrimination(4, **sizes)
