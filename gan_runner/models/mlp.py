"""Fully connected networks, for vectors and small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from gan_runner.models.layers import Norm, WeightNorm
from gan_runner.models.networks import Discriminator, FeatureLayer, Generator, elements

Activation = Literal["relu", "leaky_relu", "tanh", "softplus"]
ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def hidden_layers(
    in_features: int, width: int, depth: int, activation: Activation, norm: Callable[[int], nn.Module]
) -> list[nn.Module]:
    """`depth` times linear, normalisation, activation."""
    if depth < 1 or width < 1:
        raise ValueError(f"an MLP needs at least one hidden layer of at least one unit, not {depth} of {width}")
    layers: list[nn.Module] = []
    for features in [in_features] + [width] * (depth - 1):
        linear = nn.Linear(features, width)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, norm(width), ACTIVATIONS[activation]()]
    return layers


class MLPGenerator(Generator):
    """Latents (n, latent_dim) → (n, *shape) through `depth` hidden layers of `width` units (He-initialised)."""

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        width: int = 256,
        depth: int = 3,
        activation: Activation = "relu",
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
    ):
        super().__init__(norm, reference_size)
        body = nn.Sequential(
            *hidden_layers(latent_dim, width, depth, activation, self.normalization),
            nn.Linear(width, elements(shape)),
            nn.Unflatten(1, shape),
        )
        self.assemble(body, latent_dim, bounded, weight_norm)


class MLPDiscriminator(Discriminator):
    """Data (n, *shape) → scores (n,) through `depth` hidden layers of `width` units (He-initialised)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 256,
        depth: int = 3,
        activation: Activation = "relu",
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
    ):
        super().__init__(norm, reference_size)
        trunk = nn.Sequential(
            nn.Flatten(), *hidden_layers(elements(shape), width, depth, activation, self.normalization)
        )
        self.assemble(trunk, shape, width, feature_layer, weight_norm)
