"""The style loss: a network recovers the latent of an image."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.gan import GenerativeTurn
from gan_runner.tools.formulas import formula


@formula("E[‖{noise} − S({fake})‖²]")
def style(turn: GenerativeTurn) -> Tensor:
    """E‖z − S(G(z, φ(t)))‖², summed over the dimensions of z alone, without codes.

    Reed et al. 2016, arXiv:1605.05396, Eq. 6.
    """
    z = turn.noise[:, : turn.game.latent.dim]
    return (z - turn.networks["style"](turn.fake)).square().sum(1).mean()
