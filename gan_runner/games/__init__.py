"""Who plays, and who sees what."""

from gan_runner.games.bilinear import Bilinear, BilinearTurn
from gan_runner.games.gan import GAN, GANTurn

__all__ = ["GAN", "Bilinear", "BilinearTurn", "GANTurn"]
