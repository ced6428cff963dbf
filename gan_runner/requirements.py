"""What a part declares of itself beside its code, such as what it needs of others: checked before data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, runtime_checkable

from torch import nn

from gan_runner.games.base import Game, critic_name

Requirement = Callable[[Any], None]
"""Raises ValueError, which says why a part cannot work and what to choose, for what the part is given to.

A term or a constraint is given to the `OwnedNetworks` of a player, a game to all networks, a metric or an observer
to the system.
"""


class OwnedNetworks(dict[str, nn.Module]):
    """The networks that a player owns, by name: what its terms and constraints are built on.

    Args:
        networks: by name.
        game: that the player is part of.
        others: the networks of the other players, by name.
    """

    def __init__(self, networks: Mapping[str, nn.Module], game: Game, others: Mapping[str, nn.Module]):
        super().__init__(networks)
        self.game = game
        self.others = others


@runtime_checkable
class HasRequirements(Protocol):
    """A part that needs something of what it is given to."""

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Checked in this order."""


@runtime_checkable
class AddsFakes(Protocol):
    """A term that may have the critic tell more than samples from data.

    Attributes:
        extra_fakes: what it tells from data beside samples; None for nothing.
    """

    extra_fakes: str | None


Options = ParamSpec("Options")
Value = TypeVar("Value")


class Declared(Generic[Options, Value]):
    """A function with what it declares of itself. A class declares the same by attributes.

    Args:
        function: a term or a metric.
        requirements: checked in this order.
        extra_fakes: what a term has the critic tell from data, beside samples; None for nothing.
    """

    def __init__(
        self,
        function: Callable[Options, Value],
        requirements: tuple[Requirement, ...] = (),
        extra_fakes: str | None = None,
    ):
        self.function = function
        self.requirements = requirements
        self.extra_fakes = extra_fakes
        update_wrapper(self, function)

    def __call__(self, *args: Options.args, **options: Options.kwargs) -> Value:
        """What the function returns."""
        return self.function(*args, **options)


def requires(*requirements: Requirement) -> Callable[[Callable[Options, Value]], Declared[Options, Value]]:
    """Declare what a term needs of its player's networks."""
    return lambda function: Declared(function, requirements)


def adds_fakes(kind: str) -> Callable[[Callable[Options, Value]], Declared[Options, Value]]:
    """Declare that a term has the critic tell these fakes from data, too, so that its ratio is not that of samples."""
    return lambda function: Declared(function, extra_fakes=kind)


@runtime_checkable
class TermWrapper(Protocol):
    """A term made of another one, such as `gan_runner.terms.at.At`: what the inner one declares holds of it, too.

    Attributes:
        term: the inner one; it may be such a term again.
    """

    term: Any

    def select(self, networks: OwnedNetworks) -> OwnedNetworks:
        """Of a player's networks those that the inner term is built on.

        Raises:
            ValueError: the game has no place for it.
        """


def innermost(term: Any) -> Any:
    """The term without others around it."""
    return innermost(term.term) if isinstance(term, TermWrapper) else term


def declaration(part: Any) -> Any:
    """The part that declares something: `_partial_` puts options around a function or a class."""
    inner = innermost(part)
    return inner.func if isinstance(inner, partial) else inner


def check_requirements(part: Any, subject: Any) -> None:
    """Raise the ValueError of the first requirement of a part that what it is given to does not meet."""
    declared = declaration(part)
    for requirement in declared.requirements if isinstance(declared, HasRequirements) else ():
        requirement(subject)


def has_critic(networks: OwnedNetworks) -> None:
    """Raise ValueError where the game has a place for a critic, and there is none."""
    critic = critic_name(networks.game)
    if critic not in {None, *networks, *networks.others}:
        raise ValueError(
            f"it looks at model.{critic}, and no player owns one here; choose likelihood=[observer,synthetic], or "
            "leave it out"
        )
