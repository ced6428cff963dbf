"""Who plays, and who sees what."""

from gan_runner.games.autoencoding import Autoencoding, AutoencodingTurn, Bidirectional, BidirectionalTurn
from gan_runner.games.bilinear import Bilinear, BilinearTurn
from gan_runner.games.conditional import ConditionalGAN, ConditionalTurn
from gan_runner.games.gan import GAN, GANTurn, GenerativeTurn
from gan_runner.games.infogan import InfoGAN, InfoGANTurn
from gan_runner.games.maximum_likelihood import MaximumLikelihood
from gan_runner.games.moment_matching import MomentMatching, MomentMatchingCodes
from gan_runner.games.semi_supervised import SemiSupervised, SemiSupervisedTurn
from gan_runner.games.text_to_image import TextToImage, TextTurn

__all__ = [
    "GAN",
    "Autoencoding",
    "AutoencodingTurn",
    "Bidirectional",
    "BidirectionalTurn",
    "Bilinear",
    "BilinearTurn",
    "ConditionalGAN",
    "ConditionalTurn",
    "GANTurn",
    "GenerativeTurn",
    "InfoGAN",
    "InfoGANTurn",
    "MaximumLikelihood",
    "MomentMatching",
    "MomentMatchingCodes",
    "SemiSupervised",
    "SemiSupervisedTurn",
    "TextToImage",
    "TextTurn",
]
