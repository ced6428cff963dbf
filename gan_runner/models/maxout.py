"""The networks of the first GAN, as the authors' code has them for MNIST (Goodfellow et al. 2014), and of the first
conditional one (Mirza & Osindero 2014, arXiv:1411.1784, Section 4.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.models.layers.conditioning import Chain, Conditioned
from gan_runner.models.layers.dropout import Dropout
from gan_runner.models.layers.maxout import Maxout
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import (
    Augment,
    Discriminator,
    FeatureLayer,
    Generator,
    Head,
    Initialise,
    elements,
    linear_weights,
)
from gan_runner.models.sizes import at_least_one


class Affine(nn.Module):
    """x ↦ factor · x + offset, with constants."""

    def __init__(self, factor: float, offset: float = 0.0):
        super().__init__()
        self.factor = factor
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.factor * x + self.offset


def uniform_weights(bound: float) -> Initialise:
    """Weights U(−bound, bound), biases zero, in every linear layer."""
    return linear_weights(nn.init.uniform_, a=-bound, b=bound)


he_weights = linear_weights(nn.init.kaiming_uniform_, nonlinearity="relu")
"""He's weights for ReLU (He et al. 2015, arXiv:1502.01852, Eq. 10), biases zero, in every linear layer."""


class SigmoidGenerator(Generator):
    """A generator that ends in a sigmoid, whose bias starts at the data's marginals.

    The papers' sigmoid is on [0, 1]; data here is on [−1, 1], so it reads 2σ(a) − 1 = tanh(a / 2). Data that is not
    bounded gets no squashing.
    """

    def output_layers(self, width: int, shape: tuple[int, ...], bounded: bool) -> list[nn.Module]:
        """From the last hidden layer to data, less the tanh: (n, width) → (n, *shape)."""
        self.bounded = bounded
        return [nn.Linear(width, elements(shape)), Affine(0.5 if bounded else 1.0), nn.Unflatten(1, shape)]

    @torch.no_grad()
    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Also set the output's bias so that G(z) starts at the mean of the data."""
        super().prepare(inputs, data)
        mean = data.flatten(1).mean(0)
        # A pixel that is constant in the batch would have an infinite logit: one sample's worth of doubt.
        doubt = 1 / (len(data) + 1)
        marginal = ((mean + 1) / 2).clamp(doubt, 1 - doubt).logit()
        *_, output = (module for module in self.modules() if isinstance(module, nn.Linear))
        output.bias.copy_(marginal if self.bounded else mean)


class ReLUSigmoidGenerator(SigmoidGenerator):
    """z → 1200 ReLU → 1200 ReLU → sigmoid.

    Args:
        latent_dim: of z.
        shape: of one sample.
        bounded: whether data lies in [−1, 1].
        width: units in either hidden layer.
        init_bound: weights start at U(−init_bound, init_bound).
        norm: normalisation of the hidden layers (none in the paper).
        weight_norm: reparametrisation of the weights (none in the paper).
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition beside each latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        width: int = 1200,
        init_bound: float = 0.05,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, width=width)
        body = Chain(
            nn.Linear(latent_dim + condition_dim, width),
            self.normalization(width),
            nn.ReLU(),
            nn.Linear(width, width),
            self.normalization(width),
            nn.ReLU(),
            *self.output_layers(width, shape, bounded),
        )
        self.assemble(body, latent_dim, bounded, weight_norm, uniform_weights(init_bound))


class Branches(Conditioned):
    """A hidden layer of latents beside one of conditions, joined in a third: (n, latent + condition) → (n, joint).

    Args:
        latent_dim: of z.
        condition_dim: length of a condition.
        latent_width: units that see the latent alone.
        condition_width: units that see the condition alone.
        joint: units that see both.
        dropout: share of each layer's units dropped.
    """

    def __init__(
        self,
        latent_dim: int,
        condition_dim: int,
        latent_width: int,
        condition_width: int,
        joint: int,
        dropout: float,
    ):
        super().__init__()
        self.latent_dim = latent_dim
        self.latent = nn.Sequential(nn.Linear(latent_dim, latent_width), nn.ReLU(), Dropout(dropout))
        self.condition = nn.Sequential(nn.Linear(condition_dim, condition_width), nn.ReLU(), Dropout(dropout))
        self.joint = nn.Sequential(nn.Linear(latent_width + condition_width, joint), nn.ReLU(), Dropout(dropout))

    def forward(self, rows: Tensor, condition: Tensor | None = None) -> Tensor:
        """What both make together."""
        z, y = rows[:, : self.latent_dim], rows[:, self.latent_dim :]
        return self.joint(torch.cat([self.latent(z), self.condition(y)], 1))


class TwoBranchGenerator(SigmoidGenerator):
    """z → 200 ReLU beside y → 1000 ReLU, together → 1200 ReLU → sigmoid (Mirza & Osindero 2014, Section 4.1).

    Args:
        latent_dim: of z.
        shape: of one sample.
        bounded: whether data lies in [−1, 1].
        condition_dim: length of the condition beside each latent.
        latent_width: units of z.
        condition_width: units of y.
        width: units of both together.
        dropout: share of hidden units dropped.
        init_bound: if given, weights start at U(−init_bound, init_bound); otherwise He-initialised, by which a one-hot
            condition of few entries and a latent of many come through alike.
        norm: normalisation of the joint layer (none in the paper).
        weight_norm: reparametrisation of the weights (none in the paper).
        reference_size: rows of the reference batch of `norm=virtual`.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        condition_dim: int,
        latent_width: int = 200,
        condition_width: int = 1000,
        width: int = 1200,
        dropout: float = 0.5,
        init_bound: float | None = None,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, latent_width=latent_width, condition_width=condition_width, width=width)
        body = Chain(
            Branches(latent_dim, condition_dim, latent_width, condition_width, width, dropout),
            self.normalization(width),
            *self.output_layers(width, shape, bounded),
        )
        initialise = he_weights if init_bound is None else uniform_weights(init_bound)
        self.assemble(body, latent_dim, bounded, weight_norm, initialise)


class MaxoutDiscriminator(Discriminator):
    """Maxout layers of 240 units × 5 pieces with dropout, then one score (in the paper, of a sigmoid).

    Bounded data is brought to [0, 1], where the paper's has it: dropout and the small initial weights take 0 for black.

    Args:
        shape: of one sample.
        bounded: whether data lies in [−1, 1].
        width: maxout units in each layer.
        depth: layers; two in the first GAN, one in the first conditional one.
        pieces: linear pieces a unit.
        input_dropout: share of the inputs dropped (the paper keeps .8).
        dropout: share of the hidden units dropped (the paper keeps .5).
        init_bound: weights start at U(−init_bound, init_bound).
        norm: normalisation after each maxout layer (none in the paper).
        weight_norm: reparametrisation of the weights (none in the paper).
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: between the features and the score, as minibatch discrimination; None for none.
        augment: what is done to its input while it trains, in this order.
        head: what scores; None for one linear score.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        bounded: bool = False,
        width: int = 240,
        depth: int = 2,
        pieces: int = 5,
        input_dropout: float = 0.2,
        dropout: float = 0.5,
        init_bound: float = 0.005,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        at_least_one(depth=depth)
        hidden: list[nn.Module] = []
        for in_features in [elements(shape)] + [width] * (depth - 1):
            hidden += [Maxout(in_features, width, pieces), self.normalization(width), Dropout(dropout)]
        scaled = Affine(0.5, 0.5) if bounded else nn.Identity()
        trunk = nn.Sequential(nn.Flatten(), scaled, Dropout(input_dropout), *hidden)
        initialise = uniform_weights(init_bound)
        self.assemble(trunk, shape, width, feature_layer, weight_norm, initialise, augment=augment, head=head)
