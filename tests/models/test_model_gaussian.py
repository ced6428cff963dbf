"""Test the moments and the density of the Gaussian generator."""

import pytest
import torch
from torch.distributions import Independent, Normal

from gan_runner.models.gaussian import Gaussian


def test_density_equals_the_normal_distribution():
    model = Gaussian(2, (2,), mean=(-0.5, 2.0), std=1.2)
    with torch.no_grad():
        model.log_std[1] = -1.0
    reference = Independent(Normal(model.mean, model.log_std.exp()), 1)
    x = torch.randn(7, 2)
    torch.testing.assert_close(model.log_prob(x), reference.log_prob(x))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2)])
def test_samples_have_mean_and_deviation(shape):
    dim = torch.Size(shape).numel()
    model = Gaussian(dim, shape, mean=tuple(range(dim)), std=0.5)
    samples = model(torch.randn(20_000, dim)).detach()
    assert samples.shape == (20_000, *shape)
    torch.testing.assert_close(samples.flatten(1).mean(0), torch.arange(float(dim)), rtol=0, atol=0.02)
    torch.testing.assert_close(samples.flatten(1).std(0), torch.full((dim,), 0.5), rtol=0, atol=0.02)


def test_likelihood_is_maximal_at_the_moments_of_the_data():
    data = torch.randn(500, 2) * torch.tensor([0.5, 2.0]) + torch.tensor([1.0, -1.0])
    model = Gaussian(2, (2,))
    with torch.no_grad():
        model.mean.copy_(data.mean(0))
        model.log_std.copy_(data.std(0, correction=0).log())
    slopes = torch.autograd.grad(model.log_prob(data).mean(), list(model.parameters()))
    assert all(slope.abs().max() < 1e-5 for slope in slopes)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"latent_dim": 3}, "set model.latent.dim=2, not 3"),
        ({"mean": (1.0,)}, "mean must have 2 elements"),
        ({"std": 0.0}, "std must be positive"),
        ({"norm": "virtual"}, "has no layers to normalise"),
    ],
)
def test_invalid_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        Gaussian(**{"latent_dim": 2, "shape": (2,), **options})
