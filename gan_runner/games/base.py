"""What a game is: it says which player sees what of a batch, and what samples are made from.

Every game is a `Game`. What only some games can do has a protocol of its own, which a game meets by having the methods:
`isinstance(game, HasCritic)` asks for them. A class of your own need not derive from anything here.
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
    """The samples of one picture.

    Attributes:
        noise: rows that samples are made from, in the order of the picture.
        columns: of the picture; None for a square.
        captions: a line beside each row of the picture, if there is something to say.
    """

    noise: Tensor
    columns: int | None = None
    captions: tuple[str, ...] = ()


class Game(Protocol):
    """Who sees what."""

    @property
    def latent(self) -> Latent:
        """The prior p(z)."""

    def turn(self, networks: Networks, owned: tuple[str, ...], batch: Batch) -> Turn:
        """What the player that owns `owned` sees of this batch."""

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """Constructor arguments of networks derived from the dataset, beside its shape and the length of latents.

        Raises:
            ValueError: the dataset lacks what the game is about.
        """

    def prepare(self, networks: Networks, data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it."""

    def noise(self, networks: Networks, n: int, rng: torch.Generator) -> Tensor:
        """What n samples are made from, on the CPU: latents, and beside each what else the generator is told."""

    def sample_grid(self, networks: Networks, n: int, rng: torch.Generator) -> SampleGrid:
        """About n such rows, arranged for a picture."""

    def sample(self, networks: Networks, noise: Tensor) -> Tensor:
        """Generated data (n, *shape) for such rows."""


@runtime_checkable
class HasCritic(Protocol):
    """A game with a network that scores samples."""

    def has_unconditional_critic(self, networks: Networks) -> bool:
        """Whether the critic scores a point alone, and not beside a condition or a code."""

    def score(self, networks: Networks, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of points (n, *shape), or of samples beside the rows (n, …) they were made from."""


@runtime_checkable
class NamesCritic(Protocol):
    """A game whose critic is the network of a name that can be chosen."""

    @property
    def critic(self) -> str:
        """The network that scores. There may be none of this name, where no term needs it."""


def critic_name(game: object) -> str | None:
    """The network that scores data or samples, of a game that names it."""
    return game.critic if isinstance(game, NamesCritic) else None


@runtime_checkable
class Classifies(Protocol):
    """A game that classifies data."""

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Logits (n, classes) of data (n, *shape)."""


@runtime_checkable
class InfersCodes(Protocol):
    """A game whose generator is fed named codes, which a network infers from samples."""

    @property
    def codes(self) -> Mapping[str, Code]:
        """By name."""

    def infer_codes(self, networks: Networks, x: Tensor) -> Tensor:
        """Parameters (n, …) of q(c|x), the codes' distribution given data (n, *shape)."""

    def traversal(self, rows: Tensor, name: str, k: int) -> Tensor:
        """Each row with one code at all its m values, and everything else as it is: (n · m, …).

        Raises:
            ValueError: there is no such code.
        """


@runtime_checkable
class Encodes(Protocol):
    """A game that may have an encoder."""

    def encodes(self, networks: Networks) -> bool:
        """Whether there is one."""

    def encode(self, networks: Networks, x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape)."""


@runtime_checkable
class DrawsConditions(Protocol):
    """A game whose samples are made for conditions, which it draws from data."""

    def noise_like(self, networks: Networks, data: Data, n: int, rng: torch.Generator) -> Tensor:
        """As `noise`, with conditions of this data instead of those of the training data."""


@runtime_checkable
class HidesData(Protocol):
    """A game whose players see only a part of the data, such as a few labels."""

    def seen(self, dataset: Dataset, data: Data) -> Data:
        """What they see of it."""


@runtime_checkable
class HasParts(Protocol):
    """A game that has other games inside it, such as several discriminators."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """By the names that terms look for (`gan_runner.terms.at.At`)."""


def training_data(game: Game, dataset: Dataset, data: Data) -> Data:
    """What the players of a game see of the data: all of it, unless the game hides some."""
    return game.seen(dataset, data) if isinstance(game, HidesData) else data
