"""What the players of a game tell each other: the critic's value, and the push that the generator gets from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gan_runner.losses.base import Loss
from gan_runner.metrics.base import metric
from gan_runner.metrics.critic import needs_critic
from gan_runner.metrics.results import GivenScores, Results
from gan_runner.sampling.critic import critic_of
from gan_runner.system import eval_mode

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_score_loss(system: System) -> None:
    """The loss must be a function of scores for either player."""
    if not isinstance(system.loss, Loss):
        raise ValueError("it needs a loss with a discriminator's and a generator's half; choose another loss")


@metric(critic_value=max, push=max, requires=(needs_critic, needs_score_loss))
def push(results: Results) -> dict[str, float]:
    """What the critic estimates, and how strongly the generator is pushed.

    `critic_value` is minus the discriminator's loss: a divergence, or a distance, by the loss. `push` is the norm of
    the generator's gradient; for a generator of a single number, minus its derivative, which is where it would move.
    """
    system, loss = results.system, results.loss
    value = -loss.discriminator(GivenScores(results.real_scores, results.fake_scores))
    parameters = list(system.networks["generator"].parameters())
    with eval_mode(system.networks), torch.enable_grad():
        fake = system.game.sample(system.networks, results.noise)
        scores = GivenScores(results.real_scores, critic_of(system).score(system.networks, fake))
        gradients = torch.autograd.grad(loss.generator(scores), parameters)
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    return {"critic_value": value.item(), "push": (-flat[0] if len(flat) == 1 else flat.norm()).item()}
