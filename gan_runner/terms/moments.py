"""Terms without a trained critic: MMD between real samples and fakes, and the reconstruction error."""

from __future__ import annotations

from torch import Tensor

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.moment_matching import MomentMatchingTurn, ReconstructingTurn
from gan_runner.losses.moments import MMD
from gan_runner.tools.formulas import formula, write


@formula(lambda term, symbols: write(term.loss.distance, symbols))
def mmd(turn: MomentMatchingTurn, loss: MMD) -> Tensor:
    """MMD² between the features of real samples and of fakes, or its root if the loss says so."""
    return loss.distance(all_gather(turn.real_features), all_gather(turn.fake_features))


@formula("E[{errors}]")
def reconstruction(turn: ReconstructingTurn) -> Tensor:
    """The mean reconstruction error of the real samples."""
    return turn.errors.mean()
