"""A discriminator with a free score at every point of known densities; its optimum has a closed form."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

GRID = torch.linspace(-2, 2, 81, dtype=torch.float64)
LOG_P = Normal(-0.5, 1.0).log_prob(GRID)
LOG_Q = Normal(0.5, 0.8).log_prob(GRID)
P, Q = LOG_P.exp(), LOG_Q.exp()


class Scores(NamedTuple):
    real: Tensor
    fake: Tensor


class OnlyFake(NamedTuple):
    """Scores that raise an error if a loss reads the real ones."""

    fake: Tensor

    @property
    def real(self):
        raise AssertionError("the real scores were computed for nothing")


def slopes(loss, score):
    """The derivatives by the score of the discriminator's cost of a real sample and of a fake: (n,) each."""
    real, fake = score.clone().requires_grad_(), score.clone().requires_grad_()
    cost = loss.discriminator(Scores(real, fake))
    return [len(score) * slope for slope in torch.autograd.grad(cost, (real, fake))]


def optimal_scores(loss, p, q):
    """The score (n,) at each point that minimises the convex p · cost of a real sample + q · cost of a fake."""
    low, high = (torch.full(p.shape, end, dtype=torch.float64) for end in (-50.0, 50.0))
    for _ in range(100):
        middle = (low + high) / 2
        real, fake = slopes(loss, middle)
        rising = p * real + q * fake > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return (low + high) / 2


def minimum(cost, start):
    """The scores that minimise a convex cost, from `start`."""
    score = start.clone().requires_grad_()
    descent = torch.optim.LBFGS(
        [score], max_iter=500, tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def evaluate():
        descent.zero_grad()
        value = cost(score)
        value.backward()
        return value

    descent.step(evaluate)
    return score.detach()


def fake_slopes(loss, score):
    """The derivatives by the score of the generator's cost of a fake: (n,)."""
    fake = score.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.generator(OnlyFake(fake)), fake)
    return len(score) * slope
