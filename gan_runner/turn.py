"""A turn holds what a player sees when it moves. Each quantity is computed on first use, and only once.

A loss that does not read the real scores never pays for them. A new method that needs a new quantity adds a property to
a turn, not an argument to every loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""A batch of a dataset: `data` (n, *shape) and, if the dataset has them, `label` (n,) or (n, attributes) and `caption`
(n, length), as character codes."""

Value = TypeVar("Value")
Network = TypeVar("Network")
Self = TypeVar("Self", bound="Quantities")

NO_CONTEXT = nullcontext()


class lazy(Generic[Value]):  # noqa: N801  (it reads as a decorator)
    """A property that is computed on first use and stored in the instance.

    `torch.compile` can trace it: unlike `functools.cached_property` on Python ≤ 3.11, it takes no lock.
    """

    def __init__(self, compute: Callable[[Any], Value]):
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[Value]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.compute(instance)
        return value


class Quantities:
    """Base class of objects with `lazy` quantities."""

    def given(self: Self, **quantities: Any) -> Self:
        """Set these quantities instead of computing them; return the object itself."""
        for name, value in quantities.items():
            setattr(self, name, value)
        return self

    def computed(self, *names: str) -> dict[str, Any]:
        """The named quantities that are already computed or given."""
        return {name: getattr(self, name) for name in names if name in vars(self)}


class Turn(Quantities):
    """Base class of every game's turn: the networks, the batch, and the names of the networks that the player trains.

    Args:
        game: the game that makes the turn.
        networks: all networks of the game, by name.
        owned: names of the networks that the moving player trains.
        batch: the data of this move, on the device.

    Attributes:
        whole: the turn of the whole game, if this is the turn of a part.
    """

    whole: Turn
    logged: tuple[str, ...] = ()
    """Names of the quantities that are logged, as means over the batch, if a term reads them."""

    meaning: str = ""
    """The definition of the condition's symbol in formulas, if there is a condition."""

    def __init__(self, game: Any, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch):
        self.game = game
        self.networks = networks
        self.owned = owned
        self.batch = batch
        self.values: dict[str, Tensor] = {}
        self.parts: dict[str, Turn] = {}

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return {}

    def part(self, name: str) -> Turn:
        """The turn of a part of the game, made on first use."""
        if name not in self.parts:
            self.parts[name] = self.game.parts[name].turn(self)
        return self.parts[name]

    def grad_if_owned(self, *names: str) -> AbstractContextManager[Any]:
        """Context that records gradients only if the player owns one of the named networks."""
        wanted = any(name in self.owned for name in names)
        return NO_CONTEXT if wanted == torch.is_grad_enabled() else torch.set_grad_enabled(wanted)

    @lazy
    def parameters(self) -> list[Tensor]:
        """The parameters that the moving player trains."""
        return [p for name in self.owned for p in self.networks[name].parameters()]

    def log(self, name: str, value: Tensor) -> None:
        """Log a value under a name beside the terms; a tensor of several values is logged as its mean."""
        self.values[name] = value.detach()

    def report(self) -> dict[str, Tensor]:
        """The values to log, not yet averaged: those passed to `log`, and the computed quantities in `logged`.

        Values from a part end in the part's name: `real_scores_ab`.
        """
        quantities = {name: value.detach() for name, value in self.computed(*self.logged).items()}
        parts = {f"{key}_{name}": value for name, part in self.parts.items() for key, value in part.report().items()}
        return quantities | self.values | parts


@dataclass(frozen=True)
class Part:
    """A game inside a game, on some of its networks and the same batch.

    A game lists its parts by name in `parts`: the levels of a pyramid, the two directions of a translation, several
    discriminators. The turn of a part reads what it needs from the turn of the whole game, `self.whole`: for a second
    discriminator, `fake` is `self.whole.fake`.

    Args:
        game: makes the turns of the part.
        networks: each network's name in the part, and its name in the whole game: with
            {"discriminator": "discriminator_b"}, the part's discriminator is the whole game's discriminator_b.
    """

    game: Any
    networks: Mapping[str, str]

    def select(self, networks: Mapping[str, Network]) -> dict[str, Network]:
        """The part's networks by their names in the part, from those of the whole game."""
        return {name: networks[outer] for name, outer in self.networks.items() if outer in networks}

    def turn(self, whole: Turn) -> Turn:
        """The part's turn, from the turn of the whole game."""
        owned = tuple(name for name, outer in self.networks.items() if outer in whole.owned)
        turn: Turn = self.game.turn(self.select(whole.networks), owned, whole.batch)
        return turn.given(whole=whole)
