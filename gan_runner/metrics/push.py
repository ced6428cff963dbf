"""The critic's estimate, and the generator's gradient that results from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gan_runner.losses.base import Loss
from gan_runner.metrics.base import metric
from gan_runner.metrics.critic import needs_critic
from gan_runner.metrics.results import GivenScores, Results
from gan_runner.sampling.critic import critic_of
from gan_runner.system import scoring_mode

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_score_loss(system: System) -> None:
    """Require a loss with discriminator and generator terms on scores."""
    if not isinstance(system.loss, Loss):
        raise ValueError(
            "it needs a loss for discriminator and generator, and this one has only one side; choose another"
        )


@metric(critic_value=max, push=max, requires=(needs_critic, needs_score_loss))
def push(results: Results) -> dict[str, float]:
    """The critic's estimate, and the norm of the generator's gradient.

    `critic_value` is minus the discriminator's loss, which estimates a divergence or a distance, depending on the loss.
    `push` is the norm of the generator's gradient. For a generator with a single parameter, it is minus the derivative:
    the direction in which the parameter moves.
    """
    system, loss = results.system, results.loss
    value = -loss.discriminator(GivenScores(results.real_scores, results.fake_scores))
    parameters = list(system.networks["generator"].parameters())
    with scoring_mode(system.networks), torch.enable_grad():
        fake = system.game.sample(system.networks, results.noise)
        scores = GivenScores(results.real_scores, critic_of(system).score(system.networks, fake))
        gradients = torch.autograd.grad(loss.generator(scores), parameters)
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    return {"critic_value": value.item(), "push": (-flat[0] if len(flat) == 1 else flat.norm()).item()}
