"""Wasserstein loss: by Kantorovich-Rubinstein duality the optimal 1-Lipschitz potential gives W₁."""

import numpy as np
import pytest
import torch
from pointwise import OnlyFake, Scores
from scipy.stats import wasserstein_distance

from gan_runner.losses.wasserstein import Wasserstein


def samples(seed, n_real=200, n_fake=150):
    generator = np.random.default_rng(seed)
    return generator.normal(0, 1, n_real), generator.exponential(1.5, n_fake) - 1.5


def optimal_potential(x, y):
    """The potential with slope sign(F_y − F_x), as points and values."""
    points = np.sort(np.concatenate([x, y]))
    between = (points[1:] + points[:-1]) / 2
    distribution_x, distribution_y = ((s[:, None] <= between).mean(0) for s in (x, y))
    values = np.concatenate([[0], np.cumsum(np.sign(distribution_y - distribution_x) * np.diff(points))])
    return lambda t: torch.from_numpy(np.interp(t, points, values))


@pytest.mark.parametrize("seed", range(3))
def test_optimal_potential_attains_the_distance(seed):
    x, y = samples(seed)
    potential = optimal_potential(x, y)
    estimate = -Wasserstein().discriminator(Scores(potential(x), potential(y))).item()
    assert estimate == pytest.approx(wasserstein_distance(x, y), rel=1e-10)


@pytest.mark.parametrize("potential", [np.sin, np.cos, np.tanh, np.abs, np.negative, np.positive])
def test_no_other_lipschitz_potential_exceeds_it(potential):
    x, y = samples(0)
    scores = Scores(torch.from_numpy(potential(x)), torch.from_numpy(potential(y)))
    assert -Wasserstein().discriminator(scores).item() < wasserstein_distance(x, y)


def test_a_constant_added_to_the_potential_changes_nothing():
    scores = Scores(torch.randn(6, dtype=torch.float64), torch.randn(4, dtype=torch.float64))
    moved = Scores(scores.real + 5, scores.fake + 5)
    torch.testing.assert_close(Wasserstein().discriminator(moved), Wasserstein().discriminator(scores))


def test_game_is_zero_sum():
    real, fake = torch.randn(6, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    total = Wasserstein().discriminator(Scores(real, fake)) + Wasserstein().generator(OnlyFake(fake))
    torch.testing.assert_close(total, -real.mean())
