"""Terms: scalars that a player descends, as functions of its turn.

A term is a function; it is a class (a `torch.nn.Module`, built on the player's networks) only if it remembers
something from move to move, so that a checkpoint keeps what it remembers. What a term demands of a player's
networks it says with `requires`.
"""

from gan_runner.terms.adversarial import discriminator_loss, generator_loss
from gan_runner.terms.augmentation_control import AugmentationControl
from gan_runner.terms.autoencoding import (
    code_discriminator_loss,
    code_encoder_loss,
    code_reconstruction,
    feature_reconstruction,
    kl_divergence,
    kl_of_moments,
    reconstruction_discriminator_loss,
    reconstruction_generator_loss,
    swapped_loss,
)
from gan_runner.terms.boundary_equilibrium import BoundaryEquilibrium
from gan_runner.terms.classification import classification, fake_classification
from gan_runner.terms.consistency import consistency, fake_consistency
from gan_runner.terms.feature_matching import feature_matching
from gan_runner.terms.gradient_penalties import dragan, gradient_penalty, r1, r2
from gan_runner.terms.historical_averaging import HistoricalAveraging
from gan_runner.terms.labelled import labelled_classification
from gan_runner.terms.lecam import LeCam
from gan_runner.terms.likelihood import negative_log_likelihood
from gan_runner.terms.matching import interpolation, mismatch
from gan_runner.terms.moments import mmd, reconstruction
from gan_runner.terms.mutual_information import mutual_information
from gan_runner.terms.pulling_away import pulling_away
from gan_runner.terms.style import style
from gan_runner.terms.unrolled import UnrolledGeneratorLoss
from gan_runner.terms.value import value

__all__ = [
    "AugmentationControl",
    "BoundaryEquilibrium",
    "HistoricalAveraging",
    "LeCam",
    "UnrolledGeneratorLoss",
    "classification",
    "code_discriminator_loss",
    "code_encoder_loss",
    "code_reconstruction",
    "consistency",
    "discriminator_loss",
    "dragan",
    "fake_classification",
    "fake_consistency",
    "feature_matching",
    "feature_reconstruction",
    "generator_loss",
    "gradient_penalty",
    "interpolation",
    "kl_divergence",
    "kl_of_moments",
    "labelled_classification",
    "mismatch",
    "mmd",
    "mutual_information",
    "negative_log_likelihood",
    "pulling_away",
    "r1",
    "r2",
    "reconstruction",
    "reconstruction_discriminator_loss",
    "reconstruction_generator_loss",
    "style",
    "swapped_loss",
    "value",
]
