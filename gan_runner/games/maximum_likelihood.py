"""Maximum likelihood: a generator with a known density, without an adversary."""

from __future__ import annotations

from dataclasses import dataclass

from gan_runner.games.moment_matching import MomentMatching
from gan_runner.models.latents import Normal, require_latent


@dataclass(frozen=True)
class MaximumLikelihood(MomentMatching):
    """A generator alone, trained on the negative log likelihood of the data.

    Args:
        latent: the prior p(z), N(0, I).

    Raises:
        ValueError: the prior is not N(0, I).
    """

    def __post_init__(self) -> None:
        require_latent(self.latent, Normal, why="densities are computed for latents from N(0, I)")
