"""What every generator and discriminator is made of.

A discriminator is a trunk, which maps data to features, and a head, which maps features to one score: so
terms can look at the features, and games can put other heads on the same trunk.
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
    """Runs a body with a fixed reference batch in front of its input, for virtual batch norm inside it.

    Args:
        body: the network; its virtual batch norms expect `size` reference rows.
        shape: of one input.
        size: rows of the reference batch, filled by `prepare`.
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
        """What the body makes of x, its batch-mates being the reference. No layer of it looks at a condition."""
        return self.body(torch.cat([self.reference, x]))[len(self.reference) :]


Initialise = Callable[[nn.Module], None]
"""Fills the weights of a module in place, before they are reparametrised."""

FeatureLayer = Callable[[int], Any]
"""in_features → a layer (n, in_features) → (n, out_features), which knows its `out_features`."""

Head = Callable[[int], Conditioned]
"""in_features → a layer (n, in_features), condition → (n, 1), which may have more to say of the features."""

Augment = dict[str, Callable[..., Any]]
"""By name: shape=… of one sample → a layer (n, *shape) → (n, *shape), twice differentiable."""


@runtime_checkable
class HasFeatures(Protocol):
    """A network of which later ones are told how many features it has."""

    num_features: int


@runtime_checkable
class Classifier(Protocol):
    """A head, or a network, that gives logits."""

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, classes) from features (n, in_features)."""


@runtime_checkable
class SaysIfScored(Protocol):
    """A network that says whether a score depends on it; without a word it is taken to."""

    is_scored: bool


def is_scored(network: nn.Module) -> bool:
    """Whether a score depends on a network, so that what bounds and smooths scores is for it, too."""
    return not isinstance(network, SaysIfScored) or network.is_scored


@runtime_checkable
class TakesCondition(Protocol):
    """A network that may be given a condition."""

    condition_dim: int


def takes_condition(network: nn.Module) -> bool:
    """Whether a network is built to be given a condition."""
    return isinstance(network, TakesCondition) and network.condition_dim > 0


def as_built(network: nn.Module) -> None:
    """Leave the weights as their layers made them."""


def linear_weights(fill: Callable[..., object], **options: Any) -> Initialise:
    """Fill the weights of every linear layer by a function of `torch.nn.init` with these options, biases with zero."""

    def initialise(network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, nn.Linear):
                fill(module.weight, **options)
                nn.init.zeros_(module.bias)

    return initialise


@torch.no_grad()
def initialise_from_data(network: nn.Module, inputs: Tensor, *condition: Tensor | None) -> None:
    """Fix the reference batches of a network, and let weight norm standardise, on a batch (n, …) of what it is fed."""
    for module in network.modules():
        if isinstance(module, WithReference):
            module.prepare(inputs)
    standardize(network, inputs, *condition)


class Network(nn.Module):
    """A network that may hold a reference batch.

    Args:
        norm: normalisation of activations inside the body, as the body was built with.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition that it is given; 0 for none.
    """

    def __init__(self, norm: Norm, reference_size: int, condition_dim: int = 0):
        super().__init__()
        at_least_one(reference_size=reference_size)
        self.norm = norm
        self.reference_size = reference_size
        self.condition_dim = condition_dim

    def normalization(self, channels: int, spatial: bool = False) -> nn.Module:
        """The chosen normalisation of `channels` activations."""
        return normalization(self.norm, channels, spatial, self.reference_size, self.condition_dim)

    def referred(self, body: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """The body, with a reference batch of inputs of this shape if its norm wants one."""
        return WithReference(body, shape, self.reference_size) if self.norm == "virtual" else body

    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Data-dependent initialisation.

        Args:
            inputs: a batch of what this network is fed, (n, *input_shape).
            data: a batch of the dataset, (n, *shape).
        """
        initialise_from_data(self, inputs)


class Generator(Network):
    """Latents, and beside each its condition, (n, latent_dim + condition_dim) → data (n, *shape).

    Subclasses build the body with `self.normalization` and hand it to `assemble`.
    """

    body: nn.Module

    def assemble(
        self,
        body: nn.Module,
        latent_dim: int,
        bounded: bool,
        weight_norm: WeightNorm,
        initialise: Initialise = as_built,
    ) -> None:
        """Take the body, whose output is squashed to (−1, 1) by tanh where the data is bounded so."""
        initialise(body)
        reparametrize(body, weight_norm)
        output = nn.Tanh() if bounded else nn.Identity()
        self.latent_dim = latent_dim
        self.body = self.referred(Chain(body, output), (latent_dim + self.condition_dim,))

    def forward(self, rows: Tensor) -> Tensor:
        """Generate (n, *shape)."""
        condition = rows[:, self.latent_dim :] if self.condition_dim else None
        return self.body(rows, condition).to(rows.dtype)


class LayerlessGenerator(Generator):
    """A generator without layers: it takes their knobs, which losses set, and refuses all but none.

    Raises:
        ValueError: there is something to normalise or to reparametrise.
    """

    def __init__(self, norm: Norm, weight_norm: WeightNorm, reference_size: int):
        super().__init__(norm, reference_size)
        if (norm, weight_norm) != ("none", "none"):
            kind = type(self).__name__
            raise ValueError(f"a {kind} has no layers to normalise; choose norm=none and weight_norm=none")


class Discriminator(Network):
    """Data (n, *shape) → scores (n,), by way of features (n, num_features).

    Attributes:
        shape: of one sample.
        augment: what is done to data and fakes alike before the trunk, while training.
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
        initialise: Initialise = as_built,
        augment: Augment | None = None,
        head: Head | None = None,
    ) -> None:
        """Take the trunk; put a layer on the features, if given, and on that a head: by default one linear score.

        A head keeps the weights that it was built with: beside features a condition has few and small numbers, which
        the small initial weights of some models would drown.
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
        self.trunk = self.referred(trunk, shape)
        self.num_features = num_features
        self.head = Chain(*layers, scoring)

    @property
    def needs_condition(self) -> bool:
        """Whether its scores are of data beside a condition, and there are none of data alone."""
        return isinstance(self.head[-1], Conditioned) and self.head[-1].needs_condition

    def prepare(self, inputs: Tensor, data: Tensor, condition: Tensor | None = None) -> None:
        """Data-dependent initialisation.

        Args:
            inputs: a batch of what this network is fed, (n, *shape).
            data: a batch of the dataset, (n, *shape).
            condition: what stands beside the inputs, (n, condition_dim), for a head that looks at it.
        """
        initialise_from_data(self, inputs, condition)

    def features(self, x: Tensor) -> Tensor:
        """(n, num_features); of augmented data while training."""
        return self.trunk(self.augment(x) if self.training else x).to(x.dtype)

    def score(self, features: Tensor, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n,), from the features of x, and its condition: a logit or a critic's value, by the loss."""
        return self.head(features, condition).squeeze(1).to(x.dtype)

    def classify(self, features: Tensor) -> Tensor:
        """The head's logits (n, classes), from features: of a head that classifies."""
        *layers, head = self.head
        for layer in layers:
            features = layer(features)
        return head.classify(features)  # type: ignore[operator]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (n,)."""
        return self.score(self.features(x), x, condition)


def elements(shape: tuple[int, ...]) -> int:
    """How many numbers one sample has."""
    return math.prod(shape)
