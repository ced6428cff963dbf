"""What the critic of a trained system makes of points: scores, and where its generator's loss would move them."""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor

from gan_runner.games.base import HasCritic
from gan_runner.losses.base import GivenScores, Identifies, Loss, generator_slope
from gan_runner.requirements import AddsFakes, declaration
from gan_runner.system import System, eval_mode


def critic_of(system: System) -> HasCritic:
    """The game, which has a critic."""
    assert isinstance(system.game, HasCritic)
    return system.game


@torch.no_grad()
def score(system: System, x: Tensor, rows: Tensor | None = None, chunk: int = 512) -> Tensor:
    """The critic's scores (n,) of points (n, *shape), in evaluation mode, a chunk at a time.

    A critic that is told conditions needs the `rows` (n, …) that these samples were made from. For a critic that
    looks at a whole batch (minibatch discrimination), the chunk is that batch.
    """
    beside = repeat(None) if rows is None else rows.split(chunk)
    with eval_mode(system.networks):
        pairs = zip(x.to(system.device).split(chunk), beside)
        return torch.cat([critic_of(system).score(system.networks, part, row) for part, row in pairs])


def has_unconditional_critic(system: System) -> bool:
    """Whether there is a critic that scores a point alone, and not beside a condition or a code."""
    return isinstance(system.game, HasCritic) and system.game.has_unconditional_critic(system.networks)


def extra_fakes(system: System) -> str | None:
    """What a term has the critic tell from data beside samples, so that its ratio is not that of samples alone."""
    weighed = [(term, player.weights[name]) for player in system.players for name, term in player.terms.items()]
    declared = [declaration(term) for term, weight in weighed if weight]
    return next((term.extra_fakes for term in declared if isinstance(term, AddsFakes) and term.extra_fakes), None)


def identifies(system: System) -> Identifies | None:
    """What an optimal critic would know of the densities of data and samples, if there is one and it knows any."""
    return system.loss.identifies if isinstance(system.loss, Loss) and not extra_fakes(system) else None


def sample_gradient(system: System, x: Tensor, among: GivenScores, chunk: int = 512) -> Tensor:
    """−n ∂L/∂x of the generator's loss L for fakes at x (n, *shape), each one `among` others: (n, *shape).

    For a critic that looks at a whole batch (minibatch discrimination), the chunk is that batch.
    """
    gradients = []
    for part in x.to(system.device).split(chunk):
        points = part.clone().requires_grad_()
        with eval_mode(system.networks), torch.enable_grad():
            scores = critic_of(system).score(system.networks, points)
            (slope,) = torch.autograd.grad(scores, points, generator_slope(system.loss, scores.detach(), among))
        gradients.append(-slope)
    return torch.cat(gradients)


def descends(system: System, term: object) -> bool:
    """Whether a player descends this term, with a weight other than 0."""
    return any(
        declaration(own) is term and bool(player.weights[name])
        for player in system.players
        for name, own in player.terms.items()
    )
