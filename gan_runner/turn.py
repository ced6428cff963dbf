"""A turn is what a player sees when it moves: each quantity is computed only when asked for, and once.

A loss that does not look at the real scores never pays for them, and a new method that needs a new quantity
adds a property to a turn instead of an argument to every loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""What a dataset yields: `data` (n, *shape), and where it has them `label` (n,) or (n, attributes) and `caption` (n,
length), character codes."""

Value = TypeVar("Value")
Network = TypeVar("Network")
Self = TypeVar("Self", bound="Quantities")

NO_CONTEXT = nullcontext()


class lazy(Generic[Value]):  # noqa: N801  (it reads as a decorator)
    """A property that is computed on first use and kept in the instance.

    Unlike `functools.cached_property` it takes no lock on any Python, so `torch.compile` traces it.
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
    """What has `lazy` quantities."""

    def given(self: Self, **quantities: Any) -> Self:
        """The same object, which takes these quantities as they are instead of computing them."""
        for name, value in quantities.items():
            setattr(self, name, value)
        return self

    def computed(self, *names: str) -> dict[str, Any]:
        """Those of the named quantities that were computed already, or given."""
        return {name: getattr(self, name) for name in names if name in vars(self)}


class Turn(Quantities):
    """What every game's turn has: the networks, the batch, and which of the networks the player may change.

    Args:
        game: whose turn it is.
        networks: all networks of the game by name.
        owned: names of the networks that the moving player descends.
        batch: the data of this move, on the device.

    Attributes:
        whole: the turn that this one is a part of.
    """

    whole: Turn
    logged: tuple[str, ...] = ()
    """Names of the quantities that are logged, as means over the batch, if a term asked for them."""

    def __init__(self, game: Any, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch):
        self.game = game
        self.networks = networks
        self.owned = owned
        self.batch = batch
        self.values: dict[str, Tensor] = {}
        self.parts: dict[str, Turn] = {}

    def part(self, name: str) -> Turn:
        """The turn of a part of the game, made when first asked for."""
        if name not in self.parts:
            self.parts[name] = self.game.parts[name].turn(self)
        return self.parts[name]

    def grad_if_owned(self, *names: str) -> AbstractContextManager[Any]:
        """Record gradients only if the player owns one of the named networks."""
        wanted = any(name in self.owned for name in names)
        return NO_CONTEXT if wanted == torch.is_grad_enabled() else torch.set_grad_enabled(wanted)

    @lazy
    def parameters(self) -> list[Tensor]:
        """The parameters that the moving player descends."""
        return [p for name in self.owned for p in self.networks[name].parameters()]

    def log(self, name: str, value: Tensor) -> None:
        """Log a value, or its mean, beside the terms."""
        self.values[name] = value.detach()

    def report(self) -> dict[str, Tensor]:
        """What was noted, and the quantities in `shown` that this turn happened to compute: not yet their means.

        What parts report has their names behind its own: `real_scores_ab`.
        """
        shown = {name: value.detach() for name, value in self.computed(*self.logged).items()}
        parts = {f"{key}_{name}": value for name, part in self.parts.items() for key, value in part.report().items()}
        return shown | self.values | parts


@dataclass(frozen=True)
class Part:
    """A game inside a game, on some of its networks and the data of the same move.

    A game has its parts by name in `parts`: levels of a pyramid, two directions of a translation, several
    discriminators. A part's turn computes what it needs from the turn of the whole, which it has as `whole`: another
    discriminator's turn has `self.whole.fake` for its `fake`.

    Args:
        game: whose turns are parts of the whole's.
        networks: the name in the whole game of each of the part's networks: with {"discriminator": "discriminator_b"},
            the part's discriminator is the whole's discriminator_b.
    """

    game: Any
    networks: Mapping[str, str]

    def select(self, networks: Mapping[str, Network]) -> dict[str, Network]:
        """Of the networks of the whole game those of the part, by their names there."""
        return {name: networks[outer] for name, outer in self.networks.items() if outer in networks}

    def turn(self, whole: Turn) -> Turn:
        """The part of a turn."""
        owned = tuple(name for name, outer in self.networks.items() if outer in whole.owned)
        turn: Turn = self.game.turn(self.select(whole.networks), owned, whole.batch)
        return turn.given(whole=whole)
