"""What acts inside a network."""

from gan_runner.models.layers.maxout import Maxout
from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_runner.models.layers.normalization import Norm, WeightNorm, normalization, reparametrize
from gan_runner.models.layers.virtual_batch_norm import VirtualBatchNorm

__all__ = [
    "Maxout",
    "MinibatchDiscrimination",
    "Norm",
    "VirtualBatchNorm",
    "WeightNorm",
    "normalization",
    "reparametrize",
]
