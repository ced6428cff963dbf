"""Who plays, and who sees what."""

from gan_runner.games.gan import GAN, GANTurn

__all__ = ["GAN", "GANTurn"]
