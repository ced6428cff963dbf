"""Fully connected networks, for vectors and small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import (
    Augment,
    Discriminator,
    FeatureLayer,
    Generator,
    Head,
    Initialise,
    elements,
    keep_weights,
    linear_weights,
)
from gan_runner.models.sizes import at_least_one

Activation = Literal["relu", "leaky_relu", "tanh", "softplus"]
ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def initialiser(orthogonal_gain: float | None) -> Initialise:
    """Orthogonal weights (Saxe et al. 2014, arXiv:1312.6120) and zero biases if a gain is given, else no change."""
    return keep_weights if orthogonal_gain is None else linear_weights(nn.init.orthogonal_, gain=orthogonal_gain)


def hidden_layers(
    in_features: int, width: int, depth: int, activation: Activation, norm: Callable[[int], nn.Module]
) -> list[nn.Module]:
    """`depth` blocks of a linear layer, normalisation and activation."""
    at_least_one(width=width, depth=depth)
    layers: list[nn.Module] = []
    for features in [in_features] + [width] * (depth - 1):
        linear = nn.Linear(features, width)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, norm(width), ACTIVATIONS[activation]()]
    return layers


class MLPGenerator(Generator):
    """Fully connected generator: rows (n, latent_dim + condition_dim) → samples (n, *shape).

    Args:
        latent_dim: length of the latent z.
        shape: shape of one sample.
        bounded: whether data lies in [−1, 1], so that tanh is the last layer.
        width: units in each hidden layer.
        depth: number of hidden layers.
        activation: activation of the hidden layers.
        orthogonal_gain: gain of an orthogonal initialisation; None for He's.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition beside each latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        width: int = 256,
        depth: int = 3,
        activation: Activation = "relu",
        orthogonal_gain: float | None = None,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim)
        body = Chain(
            *hidden_layers(latent_dim + condition_dim, width, depth, activation, self.normalization),
            nn.Linear(width, elements(shape)),
            nn.Unflatten(1, shape),
        )
        self.assemble(body, latent_dim, bounded, weight_norm, initialiser(orthogonal_gain))


class MLPDiscriminator(Discriminator):
    """Fully connected discriminator: data (n, *shape) → scores (n,).

    Args:
        shape: shape of one sample.
        width: units in each hidden layer.
        depth: number of hidden layers.
        activation: activation of the hidden layers.
        orthogonal_gain: gain of an orthogonal initialisation; None for He's.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: layer between features and head, such as minibatch discrimination; None for none.
        augment: augmentations of the input in training mode, in this order.
        head: maker of the head; None for a linear layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 256,
        depth: int = 3,
        activation: Activation = "relu",
        orthogonal_gain: float | None = None,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        trunk = nn.Sequential(
            nn.Flatten(), *hidden_layers(elements(shape), width, depth, activation, self.normalization)
        )
        self.assemble(
            trunk,
            shape,
            width,
            feature_layer,
            weight_norm,
            initialiser(orthogonal_gain),
            augment=augment,
            head=head,
        )
