"""What players learn of sentences beyond matching pairs (Reed et al. 2016, arXiv:1605.05396)."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.text_to_image import TextTurn
from gan_runner.losses.base import Loss


def mismatch(turn: TextTurn, loss: Loss) -> Tensor:
    """What the discriminator's loss grows by where images beside the captions of others stand for all fakes.

    Added to its loss with weight w, it puts them in the place of a share w of the fakes; with w = ½ and the original
    loss that is log s_r + (log(1 − s_w) + log(1 − s_f)) / 2 of Algorithm 1, line 9 (there to ascend).
    """
    mismatched = turn.scores_against(turn.mismatched_scores)
    return loss.discriminator(mismatched) - loss.discriminator(turn.scores)


def interpolation(turn: TextTurn, loss: Loss, beta: float = 0.5) -> Tensor:
    """The generator's loss at fakes for β t₁ + (1 − β) t₂, which no image of the data belongs to (Eq. 5)."""
    return loss.generator(turn.scores_against(turn.scores_between(beta)))
