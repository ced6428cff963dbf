"""Priors: their moments and bounds, and the same draws from the same random numbers."""

import pytest
import torch
from scipy.stats import kstest

from gan_runner.models.latents import Normal, Uniform

CPU = torch.device("cpu")
PRIORS = {
    "normal": (Normal(3), "norm", ()),
    "uniform": (Uniform(3), "uniform", (-1, 2)),
    "unit": (Uniform(3, 0.0, 1.0), "uniform", (0, 1)),
}


@pytest.mark.parametrize(("prior", "distribution", "parameters"), PRIORS.values(), ids=PRIORS)
def test_draws_follow_the_distribution_independently_in_each_dimension(prior, distribution, parameters):
    z = prior(5000, CPU, torch.Generator().manual_seed(0))
    assert z.shape == (5000, 3)
    for column in z.T:
        assert kstest(column.numpy(), distribution, parameters).pvalue > 1e-3
    correlations = torch.corrcoef(z.T) - torch.eye(3)
    assert correlations.abs().max() < 0.06  # four standard errors


@pytest.mark.parametrize("prior", [Normal(4), Uniform(4)])
def test_draws_are_fixed_by_the_random_numbers_given(prior):
    first, second = (prior(6, CPU, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, prior(6, CPU, torch.Generator().manual_seed(8)))
