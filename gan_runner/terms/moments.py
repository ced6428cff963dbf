"""Distances between data and fakes that need no trained critic; and reconstruction."""

from __future__ import annotations

from torch import Tensor

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.moment_matching import MomentMatchingTurn, ReconstructingTurn
from gan_runner.losses.moments import MMD


def mmd(turn: MomentMatchingTurn, loss: MMD) -> Tensor:
    """MMD² (or what the loss makes of it) between this turn's features of data and of fakes."""
    return loss.distance(all_gather(turn.real_features), all_gather(turn.fake_features))


def reconstruction(turn: ReconstructingTurn) -> Tensor:
    """Mean of how far data is from its reconstruction, as the game measures it."""
    return turn.errors.mean()
