"""A discriminator of pairs of a sample and a code."""

from __future__ import annotations

from typing import Any

from torch import nn

from gan_runner.models.heads import ConcatHead
from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import reparametrize
from gan_runner.models.networks import Discriminator


class PairDiscriminator(Discriminator):
    """Data (n, *shape) and codes (n, latent_dim) → scores (n,), with the trunk of a discriminator of data.

    The code passes through a hidden layer of its own; a second one joins it with the features (Dumoulin et al. 2017,
    arXiv:1606.00704, Appendix A; Mescheder et al. 2017, arXiv:1701.04722, Appendix). Layers on the features, such as
    minibatch discrimination, are kept.

    Args:
        discriminator: the discriminator whose trunk is used.
        latent_dim: length of a code.
        embedding: units of the hidden layer of the code.
        width: units of the joint layer.

    Raises:
        ValueError: the discriminator has a head that is not linear.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, embedding: int = 128, width: int = 256):
        nn.Module.__init__(self)
        *layers, scoring = discriminator.head
        if not isinstance(scoring, nn.Linear):
            kind = type(scoring).__name__
            raise ValueError(f"pairs of a sample and a code need a head of their own, not a {kind}; leave out its head")
        in_features: Any = layers[-1].out_features if layers else discriminator.num_features
        head = ConcatHead(in_features, latent_dim, embedding, width, rescale=False)
        reparametrize(head, discriminator.weight_norm)
        self.shape = discriminator.shape
        self.weight_norm = discriminator.weight_norm
        self.augment = discriminator.augment
        self.trunk = discriminator.trunk
        self.num_features = discriminator.num_features
        self.head = Chain(*layers, head)
