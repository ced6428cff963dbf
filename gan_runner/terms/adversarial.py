"""The adversarial loss, as the discriminator's and as the generator's term."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.gan import GANTurn
from gan_runner.losses.base import Loss
from gan_runner.tools.formulas import formula


@formula(lambda term, symbols: symbols.loss(term.loss.discriminator))
def discriminator_loss(turn: GANTurn, loss: Loss) -> Tensor:
    """The discriminator's half of a loss, on the scores of this turn."""
    return loss.discriminator(turn.scores)


@formula(lambda term, symbols: symbols.loss(term.loss.generator))
def generator_loss(turn: GANTurn, loss: Loss) -> Tensor:
    """The generator's half of a loss, on the scores of this turn."""
    return loss.generator(turn.scores)
