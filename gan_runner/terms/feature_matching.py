"""Feature matching: the generator matches the mean of the discriminator's features."""

from __future__ import annotations

from torch import Tensor

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.gan import GANTurn
from gan_runner.requirements import has_critic, requires
from gan_runner.tools.formulas import formula


@requires(has_critic)
@formula("‖E[{real_features}] − E[{fake_features}]‖² / dim f")
def feature_matching(turn: GANTurn) -> Tensor:
    """The squared difference of the mean features of real samples and fakes (Salimans et al. 2016, arXiv:1606.03498).

    The paper sums over features; this is the mean over features, as in the authors' code, so that its weight does not
    depend on the width of the layer. In the paper a feature is a function of one sample. With batch norm in the
    discriminator it is not: data and fakes are normalised apart, each by the statistics of its own batch.
    """
    return (all_gather(turn.real_features).mean(0) - all_gather(turn.fake_features).mean(0)).square().mean()
