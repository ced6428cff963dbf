"""Test that instance noise is normal with the given standard deviation."""

import pytest
import torch

from gan_runner.models.layers.instance_noise import InstanceNoise


@pytest.mark.parametrize("shape", [(2,), (3, 8, 8)])
def test_noise_is_normal_with_the_given_deviation(shape):
    layer, x = InstanceNoise(shape, std=0.3), torch.randn(4000, *shape)
    noise = layer(x) - x
    assert noise.mean().abs() < 0.02
    assert noise.std().sub(0.3).abs() < 0.02
    assert noise.pow(4).mean() / 0.3**4 == pytest.approx(3, abs=0.3)
    assert torch.corrcoef(noise.flatten(1).T)[0, 1].abs() < 0.1


def test_no_noise_at_sigma_zero():
    layer, x = InstanceNoise((2,)), torch.randn(5, 2)
    layer.sigma.zero_()
    assert torch.equal(layer(x), x)


def test_a_deviation_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="must be positive, not 0"):
        InstanceNoise((2,), std=0)
