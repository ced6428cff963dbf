"""Base classes of generators and discriminators.

A discriminator is a trunk, which maps data to features, and a head, which maps features to one score. Terms can
therefore read the features, and games can put other heads on the same trunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gan_runner.models.layers.conditioning import Chain, Conditioned
from gan_runner.models.layers.normalization import Norm, WeightNorm, normalization, reparametrize
from gan_runner.models.layers.weight_norm import standardize
from gan_runner.models.sizes import at_least_one


class WithReference(Conditioned):
    """A network with a fixed reference batch in front of its input, as virtual batch norm needs.

    Args:
        body: the network; its virtual batch norms expect `size` reference rows.
        shape: shape of one input.
        size: rows of the reference batch, which `prepare` fills.
    """

    reference: Tensor

    def __init__(self, body: nn.Module, shape: tuple[int, ...], size: int):
        super().__init__()
        self.body = body
        self.register_buffer("reference", torch.zeros(size, *shape))

    def prepare(self, inputs: Tensor) -> None:
        """Fix the reference batch: the first rows of `inputs`, repeated if there are too few."""
        rows = torch.arange(len(self.reference), device=inputs.device) % len(inputs)
        self.reference.copy_(inputs[rows])

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Run the body on the reference batch and x, and return the rows of x. The condition is not used."""
        return self.body(torch.cat([self.reference, x]))[len(self.reference) :]


Initialise = Callable[[nn.Module], None]
"""Initialises the weights of a module in place, before they are reparametrised."""

FeatureLayer = Callable[[int], Any]
"""in_features → a layer (n, in_features) → (n, out_features) with an attribute `out_features`."""

Head = Callable[[int], Conditioned]
"""in_features → a layer (n, in_features), condition → (n, 1). Some heads also classify."""

Augment = dict[str, Callable[..., Any]]
"""Augmentations by name. Each maps shape=… of one sample to a twice differentiable layer (n, *shape) → (n, *shape)."""


@runtime_checkable
class HasFeatures(Protocol):
    """A network whose number of features other networks take as an argument."""

    num_features: int


@runtime_checkable
class Classifier(Protocol):
    """A head or a network that returns logits."""

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, classes) from features (n, in_features)."""


@runtime_checkable
class DeclaresScored(Protocol):
    """A network that declares whether scores depend on it. For all other networks they do."""

    is_scored: bool


def is_scored(network: nn.Module) -> bool:
    """Whether scores depend on a network, so that weight clipping and gradient penalties apply to it."""
    return not isinstance(network, DeclaresScored) or network.is_scored


@runtime_checkable
class TakesCondition(Protocol):
    """A network that may take a condition as input."""

    condition_dim: int


def takes_condition(network: nn.Module) -> bool:
    """Whether a network takes a condition as input."""
    return isinstance(network, TakesCondition) and network.condition_dim > 0


def keep_weights(network: nn.Module) -> None:
    """Keep the initial weights of the layers."""


def linear_weights(fill: Callable[..., object], **options: Any) -> Initialise:
    """Initialise linear layers: weights by a function of `torch.nn.init` with these options, biases with zero."""

    def initialise(network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, nn.Linear):
                fill(module.weight, **options)
                nn.init.zeros_(module.bias)

    return initialise


@torch.no_grad()
def initialise_from_data(network: nn.Module, inputs: Tensor, *condition: Tensor | None) -> None:
    """Fill the reference batches and initialise the weight norm of a network from a batch (n, …) of its inputs."""
    for module in network.modules():
        if isinstance(module, WithReference):
            module.prepare(inputs)
    standardize(network, inputs, *condition)


class Network(nn.Module):
    """A network that may hold a reference batch.

    Args:
        norm: normalisation of activations inside the body.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition that it takes; 0 for none.
    """

    def __init__(self, norm: Norm, reference_size: int, condition_dim: int = 0):
        super().__init__()
        at_least_one(reference_size=reference_size)
        self.norm = norm
        self.reference_size = reference_size
        self.condition_dim = condition_dim

    def normalization(self, channels: int, spatial: bool = False) -> nn.Module:
        """A layer with the chosen normalisation for `channels` activations."""
        return normalization(self.norm, channels, spatial, self.reference_size, self.condition_dim)

    def with_reference(self, body: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """The body; with `norm=virtual` it gets a reference batch of inputs of this shape."""
        return WithReference(body, shape, self.reference_size) if self.norm == "virtual" else body

    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Initialise from data.

        Args:
            inputs: a batch of inputs of this network, (n, *input_shape).
            data: a batch of the dataset, (n, *shape).
        """
        initialise_from_data(self, inputs)


class Generator(Network):
    """Rows of a latent and its condition (n, latent_dim + condition_dim) → samples (n, *shape).

    Subclasses build the body with `self.normalization` and pass it to `assemble`.
    """

    body: nn.Module

    def assemble(
        self,
        body: nn.Module,
        latent_dim: int,
        bounded: bool,
        weight_norm: WeightNorm,
        initialise: Initialise = keep_weights,
    ) -> None:
        """Initialise the body and register it. If data is bounded, tanh maps the output to (−1, 1)."""
        initialise(body)
        reparametrize(body, weight_norm)
        output = nn.Tanh() if bounded else nn.Identity()
        self.latent_dim = latent_dim
        self.body = self.with_reference(Chain(body, output), (latent_dim + self.condition_dim,))

    def forward(self, rows: Tensor) -> Tensor:
        """Generate samples (n, *shape)."""
        condition = rows[:, self.latent_dim :] if self.condition_dim else None
        return self.body(rows, condition).to(rows.dtype)


class LayerlessGenerator(Generator):
    """A generator without layers. Losses set `norm` and `weight_norm` for every generator; it accepts only `none`.

    Raises:
        ValueError: `norm` or `weight_norm` is not `none`.
    """

    def __init__(self, norm: Norm, weight_norm: WeightNorm, reference_size: int):
        super().__init__(norm, reference_size)
        if (norm, weight_norm) != ("none", "none"):
            kind = type(self).__name__
            raise ValueError(f"a {kind} has no layers to normalise; choose norm=none and weight_norm=none")


class Discriminator(Network):
    """Data (n, *shape) → features (n, num_features) → scores (n,).

    Attributes:
        shape: shape of one sample.
        augment: augmentation of real and fake samples before the trunk, in training mode.
    """

    shape: tuple[int, ...]
    augment: nn.Sequential
    trunk: nn.Module
    head: Chain

    def assemble(
        self,
        trunk: nn.Module,
        shape: tuple[int, ...],
        num_features: int,
        feature_layer: FeatureLayer | None,
        weight_norm: WeightNorm,
        initialise: Initialise = keep_weights,
        augment: Augment | None = None,
        head: Head | None = None,
    ) -> None:
        """Initialise and register the trunk, a layer on the features if given, and a head (by default linear).

        A given head keeps its own initial weights: a condition has few and small entries compared with the features,
        and the small initial weights of some models would make it negligible.
        """
        layers = [] if feature_layer is None else [feature_layer(num_features)]
        width = layers[0].out_features if layers else num_features
        scoring = nn.Linear(width, 1) if head is None else head(width)
        for part in (trunk, *layers, scoring):
            if head is None or part is not scoring:
                initialise(part)
            reparametrize(part, weight_norm)
        self.shape = tuple(shape)
        self.weight_norm: WeightNorm = weight_norm
        self.augment = nn.Sequential(*(make(shape=self.shape) for make in (augment or {}).values()))
        self.trunk = self.with_reference(trunk, shape)
        self.num_features = num_features
        self.head = Chain(*layers, scoring)

    @property
    def needs_condition(self) -> bool:
        """Whether it needs a condition beside each sample to score it."""
        return isinstance(self.head[-1], Conditioned) and self.head[-1].needs_condition

    def prepare(self, inputs: Tensor, data: Tensor, condition: Tensor | None = None) -> None:
        """Initialise from data.

        Args:
            inputs: a batch of inputs of this network, (n, *shape).
            data: a batch of the dataset, (n, *shape).
            condition: the conditions of the inputs, (n, condition_dim), for a head that takes them.
        """
        initialise_from_data(self, inputs, condition)

    def features(self, x: Tensor) -> Tensor:
        """Features (n, num_features). In training mode x is augmented first."""
        return self.trunk(self.augment(x) if self.training else x).to(x.dtype)

    def score(self, features: Tensor, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (n,) from the features of x and its condition. The loss decides what they mean, such as logits."""
        return self.head(features, condition).squeeze(1).to(x.dtype)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, classes) of a head that classifies, from features (n, num_features)."""
        *layers, head = self.head
        for layer in layers:
            features = layer(features)
        return head.classify(features)  # type: ignore[operator]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (n,)."""
        return self.score(self.features(x), x, condition)


def elements(shape: tuple[int, ...]) -> int:
    """The number of elements of one sample."""
    return math.prod(shape)
