"""The latent of an image, found again."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.gan import GenerativeTurn


def style(turn: GenerativeTurn) -> Tensor:
    """E‖z − S(G(z, φ(t)))‖², the squared distance added up over latent dimensions (Reed et al. 2016, Eq. 6)."""
    return (turn.noise - turn.networks["style"](turn.fake)).square().sum(1).mean()
