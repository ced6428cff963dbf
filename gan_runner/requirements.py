"""Requirements that a part declares, such as on a player's networks. They are checked before data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, runtime_checkable

from torch import nn

from gan_runner.games.base import Game, critic_name

Requirement = Callable[[Any], None]
"""A check that raises ValueError if a part cannot work; the message says why and what to choose.

Its argument is the `OwnedNetworks` of a player for a term or a constraint, all networks for a game, the system for a
metric or an observer.
"""


class OwnedNetworks(dict[str, nn.Module]):
    """The networks that a player owns, by name. Stateful terms and constraints take them as an argument.

    Args:
        networks: the player's networks, by name.
        game: the game that the player is part of.
        others: the networks of the other players, by name.
        batch_size: rows of the global batch.
    """

    def __init__(self, networks: Mapping[str, nn.Module], game: Game, others: Mapping[str, nn.Module], batch_size: int):
        super().__init__(networks)
        self.game = game
        self.others = others
        self.batch_size = batch_size


@runtime_checkable
class HasRequirements(Protocol):
    """A part that declares requirements."""

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The checks, in order."""


@runtime_checkable
class AddsFakes(Protocol):
    """A term that may train the critic on fakes other than samples.

    Attributes:
        extra_fakes: the kind of these fakes, such as reconstructions; None for none.
    """

    extra_fakes: str | None


Options = ParamSpec("Options")
Value = TypeVar("Value")


class Declared(Generic[Options, Value]):
    """A function with declarations. A class declares the same by attributes.

    Args:
        function: a term or a metric.
        requirements: the checks, in order.
        extra_fakes: the kind of fakes other than samples that a term trains the critic on; None for none.
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
        """Call the function."""
        return self.function(*args, **options)


def requires(*requirements: Requirement) -> Callable[[Callable[Options, Value]], Declared[Options, Value]]:
    """Declare a function's requirements, such as a term's on its player's networks."""
    return lambda function: Declared(function, requirements)


def adds_fakes(kind: str) -> Callable[[Callable[Options, Value]], Declared[Options, Value]]:
    """Declare that a term trains the critic on these fakes, too: its density ratio is then not that of samples."""
    return lambda function: Declared(function, extra_fakes=kind)


@runtime_checkable
class TermWrapper(Protocol):
    """A term that wraps another one, such as `gan_runner.terms.at.At`. The inner term's declarations hold for it, too.

    Attributes:
        term: the inner term; it may be a wrapper itself.
    """

    term: Any

    def select(self, networks: OwnedNetworks) -> OwnedNetworks:
        """The networks of a player that the inner term uses.

        Raises:
            ValueError: the game does not have them.
        """


def innermost(term: Any) -> Any:
    """The term inside all wrappers."""
    return innermost(term.term) if isinstance(term, TermWrapper) else term


def declaration(part: Any) -> Any:
    """The function or class that holds a part's declarations, without wrappers and without the options of a partial."""
    inner = innermost(part)
    return inner.func if isinstance(inner, partial) else inner


def check_requirements(part: Any, subject: Any) -> None:
    """Run the checks of a part, and of the parts that it takes as options, on a subject such as a player's networks.

    Raises:
        ValueError: of the first check that fails.
    """
    inner = innermost(part)
    options = inner.keywords.values() if isinstance(inner, partial) else ()
    for declared in (declaration(part), *options):
        for requirement in declared.requirements if isinstance(declared, HasRequirements) else ():
            requirement(subject)


def has_critic(networks: OwnedNetworks) -> None:
    """Raise ValueError if the game names a critic and no player owns it."""
    critic = critic_name(networks.game)
    if critic not in {None, *networks, *networks.others}:
        raise ValueError(
            f"it needs model.{critic}, which no player of this configuration trains; choose "
            "likelihood=[observer,synthetic], or leave it out"
        )


def several_samples(networks: OwnedNetworks) -> None:
    """Raise ValueError if a batch has only one sample."""
    if networks.batch_size < 2:
        raise ValueError("it compares the samples of a batch with each other; set trainer.batch_size to 2 or more")
