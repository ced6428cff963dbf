"""Test that maxout is the maximum of linear maps."""

import pytest
import torch

from gan_runner.models.layers.maxout import Maxout


def test_each_unit_is_the_maximum_of_its_pieces():
    layer = Maxout(3, 4, pieces=5)
    x = torch.randn(6, 3)
    pieces = torch.stack([x @ w + b for w, b in zip(layer.linear.weight, layer.linear.bias)], 1)  # (6, 4 · 5)
    units = [pieces[:, 5 * unit : 5 * unit + 5].max(1).values for unit in range(4)]
    torch.testing.assert_close(layer(x), torch.stack(units, 1))


def test_one_piece_is_linear():
    layer = Maxout(3, 4, pieces=1)
    x = torch.randn(6, 3)
    torch.testing.assert_close(layer(x), layer.linear(x))


def test_two_pieces_can_form_an_absolute_value():
    layer = Maxout(1, 1, pieces=2)
    layer.linear.weight.data = torch.tensor([[1.0], [-1.0]])
    layer.linear.bias.data.zero_()
    x = torch.linspace(-2, 2, 9).unsqueeze(1)
    assert torch.equal(layer(x), x.abs())


def test_maxout_is_convex():
    layer = Maxout(3, 4)
    x, y = 5 * torch.randn(50, 3), 5 * torch.randn(50, 3)
    assert (layer((x + y) / 2) <= (layer(x) + layer(y)) / 2 + 1e-5).all()


@pytest.mark.parametrize("sizes", [{"out_features": 0}, {"pieces": 0}])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match=f"{next(iter(sizes))} must be at least 1, not 0"):
        Maxout(**{"in_features": 2, "out_features": 2, **sizes})
