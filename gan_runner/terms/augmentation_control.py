"""Adaptive augmentation: its strength follows a measure of the discriminator's overfitting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.losses.base import Loss, RatioLoss, SignLoss
from gan_runner.models.layers.adaptive_augmentation import AdaptiveAugmentation
from gan_runner.tools.formulas import Symbols, formula, is_sum, number, write


def realness(loss: Loss) -> Callable[[Tensor], Tensor]:
    """A function of scores that is positive where the discriminator takes a sample for real.

    Raises:
        ValueError: the loss determines scores only up to a constant.
    """
    if loss.identifies == "ratio" and isinstance(loss, RatioLoss):
        return loss.log_ratio
    if loss.identifies == "sign" and isinstance(loss, SignLoss):
        return loss.sign
    raise ValueError(
        "adaptive augmentation needs scores whose sign tells real from fake, and those of "
        f"{type(loss).__name__} do not; choose loss=non_saturating, minimax, hinge or lsgan, or "
        "regularizer=[diff_augment]"
    )


def mean_sign(term: AugmentationControl, symbols: Symbols) -> str:
    """The formula of r_t: the sign is that of the loss's log ratio."""
    text = write(term.realness, symbols.having(s=symbols.score("real_scores")))
    return f"E[sign({text})]" if is_sum(text) else f"E[sign {text}]"


@formula(
    mean_sign,
    lambda term, symbols: f"p rises where {mean_sign(term, symbols)} > {number(term.target)}, and falls otherwise",
)
class AugmentationControl(nn.Module):
    """r_t = E[sign(D(x))] on real data, logged with weight zero; it controls the probability p of augmentations.

    Karras et al. 2020, arXiv:2006.06676, Section 3 and Eq. 1. Every `interval` moves, p rises if the mean of r_t since
    the last change is above the target, and falls if it is below. The change per image is 1 / `images`. For least
    squares, whose neutral score is not zero, the sign is that of the log density ratio that a score implies.

    Args:
        networks: the player's networks, whose adaptive augmentation is controlled.
        loss: the player's loss, which gives scores their meaning.
        target: the target of r_t.
        interval: moves between changes of p.
        images: the number of real images in which p can go from 0 to 1.

    Raises:
        ValueError: there is no adaptive augmentation, or the sign of the loss's scores has no meaning.
    """

    moves: Tensor
    total: Tensor

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        loss: Loss,
        target: float = 0.6,
        interval: int = 4,
        images: int = 500_000,
    ):
        super().__init__()
        modules = [module for network in networks.values() for module in network.modules()]
        self.layers = [module for module in modules if isinstance(module, AdaptiveAugmentation)]
        if not self.layers:
            raise ValueError("augmentation_control needs adaptive augmentation; choose regularizer=[ada]")
        if interval < 1 or images < 1:
            raise ValueError(f"interval and images must be at least 1, not {interval} and {images}")
        self.realness = realness(loss)
        self.target = target
        self.interval = interval
        self.images = images
        self.register_buffer("moves", torch.zeros(()))
        self.register_buffer("total", torch.zeros(()))

    @torch.no_grad()
    def forward(self, turn: GANTurn) -> Tensor:
        """r_t of this batch, a scalar without a gradient."""
        scores = turn.scores.real
        r = self.realness(scores).sign().mean()
        self.moves += 1
        self.total += r
        due = self.moves == self.interval
        change = self.interval * len(scores) / self.images * (self.total / self.interval - self.target).sign()
        for layer in self.layers:
            layer.p.copy_(torch.where(due, layer.p + change, layer.p).clamp(0, 1))
        self.moves.mul_(~due)
        self.total.mul_(~due)
        return r
