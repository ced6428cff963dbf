"""The latent of an image, found again."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.gan import GenerativeTurn


def style(turn: GenerativeTurn) -> Tensor:
    """E‖z − S(G(z, φ(t)))‖², the squared distance added up over latent dimensions (Reed et al. 2016, Eq. 6).

    Of noise that has codes beside z, z alone.
    """
    z = turn.noise[:, : turn.game.latent.dim]
    return (z - turn.networks["style"](turn.fake)).square().sum(1).mean()
