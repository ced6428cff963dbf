"""A discriminator of pairs: data beside a code."""

from __future__ import annotations

from typing import Any

from torch import nn

from gan_runner.models.heads import ConcatHead
from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import reparametrize
from gan_runner.models.networks import Discriminator


class PairDiscriminator(Discriminator):
    """Data (n, *shape) beside codes (n, latent_dim) → scores (n,), by the trunk of a discriminator of data.

    The code has a hidden layer of its own and joins the features in another (Dumoulin et al. 2017, arXiv:1606.00704,
    Appendix A; Mescheder et al. 2017, arXiv:1701.04722, Appendix).

    Layers on the features, such as minibatch discrimination, are kept.

    Args:
        discriminator: the discriminator whose trunk it is built like.
        latent_dim: of a code.
        embedding: units that see the code alone.
        width: units that see both.

    Raises:
        ValueError: the discriminator has a head of its own, which knows nothing of codes.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, embedding: int = 128, width: int = 256):
        nn.Module.__init__(self)
        *layers, scoring = discriminator.head
        if not isinstance(scoring, nn.Linear):
            kind = type(scoring).__name__
            raise ValueError(f"pairs are scored by layers of their own, and not by a {kind}; leave out its head")
        in_features: Any = layers[-1].out_features if layers else discriminator.num_features
        head = ConcatHead(in_features, latent_dim, embedding, width, rescale=False)
        reparametrize(head, discriminator.weight_norm)
        self.shape = discriminator.shape
        self.weight_norm = discriminator.weight_norm
        self.augment = discriminator.augment
        self.trunk = discriminator.trunk
        self.num_features = discriminator.num_features
        self.head = Chain(*layers, head)
