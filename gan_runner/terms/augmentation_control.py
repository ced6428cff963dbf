"""How far the discriminator overfits decides how much is augmented."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.losses.base import Loss, RatioLoss, SignLoss
from gan_runner.models.layers.adaptive_augmentation import AdaptiveAugmentation


def realness(loss: Loss) -> Callable[[Tensor], Tensor]:
    """What of a score is positive where the discriminator takes a sample for real.

    Raises:
        ValueError: the loss's critic is determined only up to a constant.
    """
    if loss.identifies == "ratio" and isinstance(loss, RatioLoss):
        return loss.log_ratio
    if loss.identifies == "sign" and isinstance(loss, SignLoss):
        return loss.sign
    raise ValueError(
        f"the sign of a score must tell real from fake, and that of {type(loss).__name__}'s critic tells nothing; "
        "choose loss=non_saturating, minimax, hinge or lsgan, or regularizer=[diff_augment]"
    )


class AugmentationControl(nn.Module):
    """r_t = E[sign(D(x))] on real data, to be watched (with weight zero); it steers adaptive augmentation.

    Karras et al. 2020, arXiv:2006.06676, Section 3 and Eq. 1. Every `interval` moves, p rises if r_t has been
    above the target on average since the last time, and falls if below, by so much that it takes `images` real
    images from 0 to 1. For least squares, whose neutral score is not zero, the sign is that of the log density
    ratio that a score implies.

    Args:
        networks: the player's networks, all of whose adaptive augmentation is steered.
        loss: of the player, which says what a score means.
        target: of r_t.
        interval: moves between changes of p.
        images: in which p can go from 0 to 1.

    Raises:
        ValueError: there is nothing to steer, or the loss's scores have no sign.
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
            raise ValueError("there is no adaptive augmentation to steer; choose regularizer=[ada]")
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
