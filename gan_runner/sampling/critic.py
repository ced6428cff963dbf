"""A trained critic: its scores, and the gradient of the generator's loss with respect to samples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_runner.games.base import HasCritic
from gan_runner.losses.base import GivenScores, Identifies, Loss, generator_slope
from gan_runner.requirements import AddsFakes, declaration
from gan_runner.system import System, eval_mode, scoring_mode


def critic_of(system: System) -> HasCritic:
    """Return the game, which must have a critic."""
    assert isinstance(system.game, HasCritic)
    return system.game


@torch.no_grad()
def score(
    system: System, x: Tensor, rows: Tensor | None = None, mode: Callable[..., eval_mode] = scoring_mode
) -> Tensor:
    """Return the critic's scores (n,) of points (n, *shape), which are all data or all samples, as in training.

    Scores of batch norm and minibatch discrimination depend on the batch. So x is scored in batches of the size that
    the critic was trained on; the last one is filled up with the first points.

    Args:
        system: the trained system.
        x: the points.
        rows: the latents (n, …) that the samples were generated from; a conditional critic needs them.
        mode: the mode of the networks; `eval_mode` for points that are not distributed like data or samples.
    """
    batches = -(-len(x) // system.batch_size)
    indices = (torch.arange(batches * system.batch_size) % len(x)).split(system.batch_size)
    with mode(system.networks):
        scores = [
            critic_of(system).score(system.networks, x[some].to(system.device), None if rows is None else rows[some])
            for some in indices
        ]
    return torch.cat(scores)[: len(x)]


def has_unconditional_critic(system: System) -> bool:
    """Return whether there is a critic that scores points without conditions or codes."""
    return isinstance(system.game, HasCritic) and system.game.has_unconditional_critic(system.networks)


def extra_fakes(system: System) -> str | None:
    """Return the name of fakes other than samples that a term trains the critic on, if any."""
    weighed = [(term, player.weights[name]) for player in system.players for name, term in player.terms.items()]
    declared = [declaration(term) for term, weight in weighed if weight]
    return next((term.extra_fakes for term in declared if isinstance(term, AddsFakes) and term.extra_fakes), None)


def identifies(system: System) -> Identifies | None:
    """Return what an optimal critic identifies about the densities of data and samples, or None."""
    return system.loss.identifies if isinstance(system.loss, Loss) and not extra_fakes(system) else None


def sample_gradient(system: System, x: Tensor, among: GivenScores, chunk: int = 512) -> Tensor:
    """Return −n ∂L/∂x (n, *shape) of the generator's loss L at points x (n, *shape), given the scores of other samples.

    For a critic that uses statistics of the batch (minibatch discrimination), a chunk is a batch.
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
    """Return whether a player minimises this term with a non-zero weight."""
    return any(
        declaration(own) is term and bool(player.weights[name])
        for player in system.players
        for name, own in player.terms.items()
    )
