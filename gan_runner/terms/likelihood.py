"""Maximum likelihood, for a generator with a known density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gan_runner.datasets.base import HasDensity
from gan_runner.datasets.images import bits
from gan_runner.games.gan import GenerativeTurn
from gan_runner.models.latents import Normal, require_latent
from gan_runner.requirements import OwnedNetworks, requires
from gan_runner.tools.formulas import formula


def has_density(networks: Mapping[str, nn.Module]) -> None:
    """Check that the player's generator has a known density."""
    if not isinstance(networks.get("generator"), HasDensity):
        raise ValueError(
            "maximum likelihood needs a generator with a known density; choose model=real_nvp, or leave it out"
        )


def normal_latents(networks: OwnedNetworks) -> None:
    """Check that latents are drawn from N(0, I)."""
    require_latent(
        networks.game.latent,
        Normal,
        why="densities are computed for latents from N(0, I)",
        otherwise=", or leave likelihood out",
    )


@requires(has_density, normal_latents)
@formula("−E[log p_G({real})] / dim x")
def negative_log_likelihood(turn: GenerativeTurn) -> Tensor:
    """−E[log p(x)] / D in nats per dimension, for samples of D elements; images are dequantised, on [−1, 1].

    Alone it is maximum likelihood (Dinh et al. 2017, arXiv:1605.08803). With an adversarial term it is the hybrid
    objective of Flow-GAN, whose λ weights log p(x) without the division by D and is D times smaller (Grover et al.
    2018, arXiv:1705.08868, Eq. 5). It also logs bits per dimension.
    """
    generator: Any = turn.networks["generator"]
    x = turn.dequantised
    with turn.grad_if_owned("generator"):
        nats = -generator.log_prob(x).mean() / x[0].numel()
    turn.log("bits_per_dimension", bits(nats, generator.bounded))
    return nats
