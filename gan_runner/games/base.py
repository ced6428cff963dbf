"""Protocols of games. A game defines what each player sees of a batch, and what samples are made from.

Every game is a `Game`. Abilities that only some games have are protocols of their own: `isinstance(game, HasCritic)`
checks for the methods. Your own class need not derive from anything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.models.codes import Code
from gan_runner.models.encoders import Posterior
from gan_runner.models.latents import Latent
from gan_runner.turn import Batch, Part, Turn

Networks = Mapping[str, nn.Module]
"""All networks of a game, by name."""


@dataclass(frozen=True)
class SampleGrid:
    """The inputs of the samples in one picture.

    Attributes:
        noise: the generator's inputs, in the order of the picture.
        columns: the number of columns of the picture; None for a square.
        captions: a line beside each row of the picture; empty for none.
    """

    noise: Tensor
    columns: int | None = None
    captions: tuple[str, ...] = ()


class Game(Protocol):
    """A game makes the turns of its players from a batch, and the noise that samples are made from."""

    @property
    def latent(self) -> Latent:
        """The prior p(z)."""

    def turn(self, networks: Networks, owned: tuple[str, ...], batch: Batch) -> Turn:
        """The turn of the player that trains the networks named in `owned`."""

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """Constructor arguments of networks derived from the dataset, beside its shape and the length of latents.

        Raises:
            ValueError: the dataset lacks something that the game needs.
        """

    def prepare(self, networks: Networks, data: Data, n: int) -> None:
        """Run the data-dependent initialisation of the networks on n samples of the data."""

    def noise(self, networks: Networks, n: int, rng: torch.Generator) -> Tensor:
        """Inputs of the generator for n samples, on the CPU: latents, followed by conditions or codes if any."""

    def sample_grid(self, networks: Networks, n: int, rng: torch.Generator) -> SampleGrid:
        """Inputs of the generator for a picture of about n samples."""

    def sample(self, networks: Networks, noise: Tensor) -> Tensor:
        """Samples (n, *shape) for inputs of the generator (n, …)."""


@runtime_checkable
class HasCritic(Protocol):
    """A game with a network that scores samples."""

    def has_unconditional_critic(self, networks: Networks) -> bool:
        """Whether the critic scores a point alone, without a condition or a code."""

    def score(self, networks: Networks, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of points (n, *shape), or of samples with the generator's inputs (n, …)."""


@runtime_checkable
class NamesCritic(Protocol):
    """A game with an option for the name of its critic."""

    @property
    def critic(self) -> str:
        """The name of the critic. If no term needs it, there may be no network of this name."""


def critic_name(game: object) -> str | None:
    """The name of a game's critic; None for a game without one."""
    return game.critic if isinstance(game, NamesCritic) else None


@runtime_checkable
class Classifies(Protocol):
    """A game that classifies data."""

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Logits (n, classes) of data (n, *shape)."""


@runtime_checkable
class InfersCodes(Protocol):
    """A game whose generator takes named codes, which a network infers from samples."""

    @property
    def codes(self) -> Mapping[str, Code]:
        """The codes, by name."""

    def infer_codes(self, networks: Networks, x: Tensor) -> Tensor:
        """Parameters (n, …) of q(c|x), the codes' distribution given data (n, *shape)."""

    def traversal(self, rows: Tensor, name: str, k: int) -> Tensor:
        """Each row with one code set to all its m values and the rest unchanged: (n · m, …).

        Raises:
            ValueError: there is no such code.
        """


@runtime_checkable
class Encodes(Protocol):
    """A game that may have an encoder."""

    def encodes(self, networks: Networks) -> bool:
        """Whether there is an encoder."""

    def encode(self, networks: Networks, x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape)."""


@runtime_checkable
class DrawsConditions(Protocol):
    """A game whose generator is conditioned; conditions are drawn from data."""

    def noise_like(self, networks: Networks, data: Data, n: int, rng: torch.Generator) -> Tensor:
        """Inputs of the generator for n samples, with conditions of this data and not of the training data."""


@runtime_checkable
class HidesData(Protocol):
    """A game whose players see only some of the data, such as a few labels."""

    def seen(self, dataset: Dataset, data: Data) -> Data:
        """The data that the players see."""


@runtime_checkable
class HasParts(Protocol):
    """A game that contains other games, such as one for each of several discriminators."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts, by the names that terms refer to (`gan_runner.terms.at.At`)."""


def training_data(game: Game, dataset: Dataset, data: Data) -> Data:
    """The data that the players of a game see: all of it, unless the game hides some."""
    return game.seen(dataset, data) if isinstance(game, HidesData) else data
