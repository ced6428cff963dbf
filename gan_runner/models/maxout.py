"""Networks of the first GAN and of the first conditional GAN.

Goodfellow et al. 2014, after the authors' code for MNIST, and Mirza & Osindero 2014, arXiv:1411.1784, Section 4.1.
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
    """x ↦ factor · x + offset, with constant factor and offset."""

    def __init__(self, factor: float, offset: float = 0.0):
        super().__init__()
        self.factor = factor
        self.offset = offset

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map; the shape stays the same."""
        return self.factor * x + self.offset


def uniform_weights(bound: float) -> Initialise:
    """Draw the weights of every linear layer from U(−bound, bound), with zero biases."""
    return linear_weights(nn.init.uniform_, a=-bound, b=bound)


he_weights = linear_weights(nn.init.kaiming_uniform_, nonlinearity="relu")
"""He's initialisation of every linear layer for ReLU (He et al. 2015, arXiv:1502.01852, Eq. 10), with zero biases."""


class SigmoidGenerator(Generator):
    """A generator with a sigmoid output, whose bias is initialised to the mean of each element over one batch of data.

    The authors' code takes the mean over all training images (`init_bias_target_marginals` of their Pylearn2).
    In the papers data lies in [0, 1]; here it lies in [−1, 1], so the output is 2σ(a) − 1 = tanh(a / 2). For unbounded
    data the output is linear.
    """

    def output_layers(self, width: int, shape: tuple[int, ...], bounded: bool) -> list[nn.Module]:
        """The layers from the last hidden layer to the tanh: (n, width) → (n, *shape)."""
        self.bounded = bounded
        return [nn.Linear(width, elements(shape)), Affine(0.5 if bounded else 1.0), nn.Unflatten(1, shape)]

    @torch.no_grad()
    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Initialise from data, and set the output bias so that G(z) starts near the mean of this batch."""
        super().prepare(inputs, data)
        mean = data.flatten(1).mean(0)
        margin = 1 / (len(data) + 1)  # keeps the logit of a constant pixel finite
        marginal = ((mean + 1) / 2).clamp(margin, 1 - margin).logit()
        *_, output = (module for module in self.modules() if isinstance(module, nn.Linear))
        output.bias.copy_(marginal if self.bounded else mean)


class ReLUSigmoidGenerator(SigmoidGenerator):
    """z → 1200 ReLU → 1200 ReLU → sigmoid (Goodfellow et al. 2014).

    Args:
        latent_dim: length of the latent z.
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1].
        width: units in each hidden layer.
        init_bound: bound of the initial weights, drawn from U(−init_bound, init_bound).
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
    """A hidden layer of the latent, one of the condition, and a joint one: (n, latent + condition) → (n, joint).

    Args:
        latent_dim: length of the latent z.
        condition_dim: length of the condition.
        latent_width: units of the hidden layer of z.
        condition_width: units of the hidden layer of the condition.
        joint: units of the joint layer.
        dropout: dropout probability of each layer.
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
        """Outputs (n, joint) of the joint layer."""
        z, y = rows[:, : self.latent_dim], rows[:, self.latent_dim :]
        return self.joint(torch.cat([self.latent(z), self.condition(y)], 1))


class TwoBranchGenerator(SigmoidGenerator):
    """(z → 200 ReLU, y → 1000 ReLU) → 1200 ReLU → sigmoid (Mirza & Osindero 2014, Section 4.1).

    Args:
        latent_dim: length of the latent z.
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1].
        condition_dim: length of the condition y.
        latent_width: units of the hidden layer of z.
        condition_width: units of the hidden layer of y.
        width: units of the joint layer.
        dropout: dropout probability of the hidden layers.
        init_bound: bound of the initial weights, drawn from U(−init_bound, init_bound). None for He's initialisation,
            with which a long latent and a short one-hot condition have the same influence.
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
    """Maxout layers of 240 units with 5 pieces and dropout, then one score (in the paper followed by a sigmoid).

    Bounded data is mapped to [0, 1] as in the paper: dropout and the small initial weights assume that black is 0.

    Args:
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1].
        width: maxout units in each layer.
        depth: number of layers: two in the first GAN, one in the first conditional GAN.
        pieces: linear pieces of each unit.
        input_dropout: dropout probability of the inputs (the paper keeps .8).
        dropout: dropout probability of the hidden units (the paper keeps .5).
        init_bound: bound of the initial weights, drawn from U(−init_bound, init_bound).
        norm: normalisation after each maxout layer (none in the paper).
        weight_norm: reparametrisation of the weights (none in the paper).
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: layer between features and head, such as minibatch discrimination; None for none.
        augment: augmentations of the input in training mode, in this order.
        head: maker of the head; None for a linear layer.
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
