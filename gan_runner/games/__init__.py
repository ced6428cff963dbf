"""Who plays, and who sees what."""

from gan_runner.games.gan import GAN, GANTurn, GenerativeTurn
from gan_runner.games.moment_matching import MomentMatching, MomentMatchingCodes

__all__ = ["GAN", "GANTurn", "GenerativeTurn", "MomentMatching", "MomentMatchingCodes"]
