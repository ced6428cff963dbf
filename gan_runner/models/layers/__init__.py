"""What acts inside a network."""

from gan_runner.models.layers.adaptive_augmentation import AdaptiveAugmentation
from gan_runner.models.layers.batch_norm import BatchNorm1d, BatchNorm2d
from gan_runner.models.layers.conditioning import Chain, ConditionalBatchNorm, Conditioned
from gan_runner.models.layers.diff_augment import DiffAugment
from gan_runner.models.layers.dropout import Dropout
from gan_runner.models.layers.gaussian_noise import GaussianNoise
from gan_runner.models.layers.instance_noise import InstanceNoise
from gan_runner.models.layers.maxout import Maxout
from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_runner.models.layers.normalization import Norm, WeightNorm, normalization, reparametrize, unbounded
from gan_runner.models.layers.virtual_batch_norm import VirtualBatchNorm
from gan_runner.models.layers.weight_norm import WeightNormalized, normalize_weight, normalized_weights, standardize

__all__ = [
    "AdaptiveAugmentation",
    "BatchNorm1d",
    "BatchNorm2d",
    "Chain",
    "ConditionalBatchNorm",
    "Conditioned",
    "DiffAugment",
    "Dropout",
    "GaussianNoise",
    "InstanceNoise",
    "Maxout",
    "MinibatchDiscrimination",
    "Norm",
    "VirtualBatchNorm",
    "WeightNorm",
    "WeightNormalized",
    "normalization",
    "normalize_weight",
    "normalized_weights",
    "reparametrize",
    "standardize",
    "unbounded",
]
