"""What players learn of sentences beyond matching pairs (Reed et al. 2016, arXiv:1605.05396)."""

from __future__ import annotations

from torch import Tensor

from gan_runner.distributed.sharding import gather
from gan_runner.games.text_to_image import TextTurn
from gan_runner.losses.base import Loss, Scores


class WithFakes:
    """The scores of a turn, with others in the place of the fakes'; those of data are computed when a loss reads them.

    Args:
        scores: of the turn.
        fake: scores (n,).
    """

    def __init__(self, scores: Scores, fake: Tensor):
        self.scores = scores
        self.fake = fake

    @property
    def real(self) -> Tensor:
        """Scores (n,) of the data."""
        return self.scores.real


def mismatch(turn: TextTurn, loss: Loss) -> Tensor:
    """What the discriminator's loss grows by where images beside the captions of others stand for all fakes.

    Added to its loss with weight w, it puts them in the place of a share w of the fakes; with w = ½ and the original
    loss that is log s_r + (log(1 − s_w) + log(1 − s_f)) / 2 of Algorithm 1, line 9 (there to ascend).
    """
    mismatched = WithFakes(turn.scores, gather(turn.mismatched_scores))
    return loss.discriminator(mismatched) - loss.discriminator(turn.scores)


def interpolation(turn: TextTurn, loss: Loss, beta: float = 0.5) -> Tensor:
    """The generator's loss at fakes for β t₁ + (1 − β) t₂, which no image of the data belongs to (Eq. 5)."""
    return loss.generator(WithFakes(turn.scores, gather(turn.scores_between(beta))))
