"""The generator matches statistics of the discriminator's features."""

from __future__ import annotations

from torch import Tensor

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.gan import GANTurn
from gan_runner.requirements import has_critic, requires


@requires(has_critic)
def feature_matching(turn: GANTurn) -> Tensor:
    """Squared difference of the mean features of data and fakes (Salimans et al. 2016, Section 3.1).

    The paper writes the squared norm, a sum over features; like the authors' code this is the mean over them,
    so that its weight does not depend on the width of the layer.
    """
    return (all_gather(turn.real_features).mean(0) - all_gather(turn.fake_features).mean(0)).square().mean()
