"""Text to image: terms on mismatched and interpolated captions (Reed et al. 2016, arXiv:1605.05396)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gan_runner.games.text_to_image import TextTurn
from gan_runner.losses.base import Loss
from gan_runner.tools.formulas import Symbols, formula, number

OTHER_CAPTION = "t′: the caption of another image"
"""The definition of t′ in formulas."""


@formula(
    "L_w − L_f",
    "L_f: the discriminator's loss; L_w: the same with {mismatched_scores} in place of {fake_scores}",
    OTHER_CAPTION,
)
def mismatch(turn: TextTurn, loss: Loss) -> Tensor:
    """The increase of the discriminator's loss if real images with mismatched captions replace all fakes.

    Added to the loss with weight w, it replaces a fraction w of the fakes. With w = ½ and the original loss, the sum is
    minus log s_r + (log(1 − s_w) + log(1 − s_f)) / 2 of Algorithm 1, line 9.
    """
    mismatched = turn.scores_against(turn.mismatched_scores)
    return loss.discriminator(mismatched) - loss.discriminator(turn.scores)


def between_captions(term: Any, symbols: Symbols) -> str:
    """The formula of `interpolation`."""
    own, other = symbols["condition"], symbols["other_condition"]
    symbols.define(f"φ̂ = {number(term.beta)} {own} + {number(1 - term.beta)} {other}")
    symbols.define(OTHER_CAPTION)
    return symbols.loss(term.loss.generator, fake="interpolated_scores")


@formula(between_captions)
def interpolation(turn: TextTurn, loss: Loss, beta: float = 0.5) -> Tensor:
    """The generator's loss of fakes for interpolated captions β t₁ + (1 − β) t₂ (Eq. 5).

    The paper adds it to the generator's loss and gives no weight; `method.interpolation` is our choice.
    """
    return loss.generator(turn.scores_against(turn.scores_between(beta)))
