"""A turn holds what a player sees when it moves. Each quantity is computed on first use, and only once.

A loss that does not read the real scores never pays for them. A new method that needs a new quantity adds a property to
a turn, not an argument to every loss.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast, overload

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""A batch of a dataset: `data` (n, *shape) and, if the dataset has them, `label` (n,) or (n, attributes) and `caption`
(n, length), as character codes."""

Value = TypeVar("Value")
Network = TypeVar("Network")
Self = TypeVar("Self", bound="Quantities")
Own = TypeVar("Own", bound="Turn")

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
        if isinstance(instance, Turn):
            return instance.find(self.name, lambda: self.compute(instance))
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


class Networks(Mapping[str, Any]):
    """The networks of a turn by name. It notes which of them are read.

    Args:
        networks: all networks of the whole game, by name.
        names: each network's name in this turn, and its name in the whole game.
        read: names in the whole game of the networks read so far.
    """

    def __init__(self, networks: Mapping[str, Any], names: Mapping[str, str], read: set[str]):
        self.networks = networks
        self.names = names
        self.read = read

    def __getitem__(self, name: str) -> Any:
        outer = self.names[name]
        self.read.add(outer)
        return self.networks[outer]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, names: Mapping[str, str]) -> Networks:
        """The networks of a part, by their names in the part; `names` gives their names in this turn."""
        kept = {name: self.names[outer] for name, outer in names.items() if outer in self.names}
        return Networks(self.networks, kept, self.read)

    def replace(self, name: str, network: Any) -> Networks:
        """The same networks but for one."""
        return Networks({**self.networks, self.names[name]: network}, self.names, self.read)


class Quantity(NamedTuple):
    """A value computed by a turn, and the names in the whole game of the networks that it depends on."""

    value: Any
    read: frozenset[str]

    def is_without(self, network: str) -> bool:
        """Whether the value is the same for any network of this name."""
        return network not in self.read and is_data(self.value)


def is_data(value: Any) -> bool:
    """Whether a value is made of tensors, so that nothing in it is computed later."""
    if isinstance(value, Mapping):
        return all(map(is_data, value.values()))
    return isinstance(value, Tensor | float | int | str | None) or (
        isinstance(value, tuple | list) and all(map(is_data, value))
    )


class Turn(Quantities):
    """Base class of every game's turn: the networks, the batch, and the names of the networks that the player trains.

    Args:
        game: the game that makes the turn.
        networks: all networks of the game, by name.
        owned: names of the networks that the moving player trains.
        batch: the data of this move, on the device.

    Attributes:
        whole: the turn of the whole game, if this is the turn of a part.
        place: the name of that part; empty for the turn of the whole game.
        origin: the turn of which this is a copy with another network (`replace`).
        replaced: the name in the whole game of that network.
    """

    whole: Turn
    place: str = ""
    origin: Turn | None = None
    replaced: str = ""
    logged: tuple[str, ...] = ()
    """Names of the quantities that are logged, as means over the batch, if a term reads them."""

    meaning: str = ""
    """The definition of the condition's symbol in formulas, if there is a condition."""

    def __init__(self, game: Any, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch):
        self.game = game
        if not isinstance(networks, Networks):
            networks = Networks(networks, {name: name for name in networks}, set())
        self.networks: Networks = networks
        self.owned = owned
        self.batch = batch
        self.values: dict[str, Tensor] = {}
        self.parts: dict[str, Turn] = {}
        self.quantities: dict[Hashable, Quantity] = {}

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return {}

    def part(self, name: str) -> Turn:
        """The turn of a part of the game, made on first use."""
        if name not in self.parts:
            part = self.parts[name] = self.game.parts[name].turn(self).given(place=name)
            if self.origin is not None:
                part.given(origin=self.origin.part(name), replaced=self.replaced)
        return self.parts[name]

    def find(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The value of a quantity, computed if no turn that shares it has done so."""
        quantity = self.known(key)
        if quantity is None:
            read = self.networks.read
            before = set(read)
            read.clear()
            value = compute()
            quantity = Quantity(value, frozenset(read))
            read.update(before)
            self.keep(key, quantity)
        self.networks.read.update(quantity.read)
        return quantity.value

    def known(self, key: Hashable) -> Quantity | None:
        """A quantity that is already computed, here or in the turn that this one is a copy of."""
        if key in self.quantities or self.origin is None:
            return self.quantities.get(key)
        quantity = self.origin.known(key)
        return quantity if quantity is not None and quantity.is_without(self.replaced) else None

    def keep(self, key: Hashable, quantity: Quantity) -> None:
        """Store a quantity for all turns that share it."""
        self.quantities[key] = quantity
        if self.origin is not None and quantity.is_without(self.replaced):
            self.origin.keep(key, quantity)

    def computed(self, *names: str) -> dict[str, Any]:
        """The named quantities that are already computed or given."""
        return {name: getattr(self, name) for name in names if name in vars(self) or self.known(name)}

    def replace(self: Own, name: str, network: Any) -> Own:
        """A copy with another network in place of the named one, which the player of the copy trains, too.

        Quantities that do not depend on this network are shared: whichever turn computes them first, both have the same
        noise, fakes, codes and reconstructions, with the same graph. All others are computed in each turn. This holds
        for tensors, and for tuples, lists and mappings of tensors; other objects are made anew.
        """
        if self.place:
            outer = self.whole.game.parts[self.place].networks[name]
            return cast(Own, self.whole.replace(outer, network).part(self.place))
        other = copy.copy(self)
        other.networks = self.networks.replace(name, network)
        other.owned = (*self.owned, name)
        other.values, other.parts, other.quantities = {}, {}, {}
        return other.given(origin=self, replaced=self.networks.names[name])

    def grad_if_owned(self, *names: str) -> AbstractContextManager[Any]:
        """Context that records gradients only if the player owns one of the named networks."""
        wanted = any(name in self.owned for name in names)
        return NO_CONTEXT if wanted == torch.is_grad_enabled() else torch.set_grad_enabled(wanted)

    @property
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
        turn: Turn = self.game.turn(whole.networks.select(self.networks), owned, whole.batch)
        return turn.given(whole=whole)
