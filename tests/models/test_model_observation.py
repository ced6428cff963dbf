"""Test that observation models equal torch's log densities, and refuse invalid scales."""

import math

import pytest
import torch
from torch import distributions

from gan_runner.models import observation

X, LOCATION = torch.tensor([[[0.2, -0.4], [0.5, 1.0]]]), torch.tensor([[[0.0, -0.5], [0.9, 0.1]]])


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [(observation.Laplace(0.3), distributions.Laplace), (observation.Normal(0.3), distributions.Normal)],
)
def test_errors_are_negative_log_densities(ours, torchs):
    known = -torchs(LOCATION, 0.3).log_prob(X).sum()
    assert ours(LOCATION, X).tolist() == pytest.approx([known.item()])


def test_cross_entropy_is_minimal_at_the_true_probability():
    share = torch.full((1, 1), 0.4)  # 0.7 of [0, 1]
    chances = torch.linspace(-0.99, 0.99, 199)
    surprise = torch.stack([observation.Bernoulli()(c.view(1, 1), share)[0] for c in chances])
    assert chances[surprise.argmin()].item() == pytest.approx(0.4, abs=0.01)
    assert surprise.min().item() == pytest.approx(-0.7 * math.log(0.7) - 0.3 * math.log(0.3), abs=1e-4)


def test_errors_are_means_over_elements():
    assert observation.AbsoluteError()(LOCATION, X).tolist() == pytest.approx([(0.2 + 0.1 + 0.4 + 0.9) / 4])
    assert observation.SquaredError()(LOCATION, X).tolist() == pytest.approx([(0.04 + 0.01 + 0.16 + 0.81) / 4])


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match="must be positive"):
        observation.Normal(scale)
