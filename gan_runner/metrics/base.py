"""What a metric is, and what it declares of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from gan_runner.metrics.results import Reference
from gan_runner.requirements import Declared, Options, Requirement, declaration

Better = Callable[[float, float], float]
"""`min` or `max`: the better one of two values."""

Values = dict[str, float]
"""What a metric returns: values by name."""


@runtime_checkable
class HasFigures(Protocol):
    """A metric that names the values that can be compared, and says of each whether less or more is better."""

    @property
    def figures(self) -> Mapping[str, Better]:
        """By name."""


@runtime_checkable
class HasConditions(Protocol):
    """A metric that measures under conditions other than those of the evaluation."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """By name; None for one that does not apply.

        A function is asked for one, of a dataset's splits and of whether values choose among checkpoints.
        """


@runtime_checkable
class Prepares(Protocol):
    """A metric that needs something made ready, such as a feature network: what is wrong with it is said early."""

    def prepare(self, reference: Reference) -> None:
        """Make it ready."""


@runtime_checkable
class LooksInPieces(Protocol):
    """A metric that looks at a piece of the samples at a time, and needs them not in memory all together."""

    in_pieces: bool


class MetricFunction(Declared[Options, Values]):
    """A metric that is a function of the results.

    Args:
        function: `Results`, options → values by name.
        figures: see `HasFigures`.
        requirements: of the system.
        conditions: see `HasConditions`.
    """

    def __init__(
        self,
        function: Callable[Options, Values],
        figures: Mapping[str, Better],
        requirements: tuple[Requirement, ...],
        conditions: Mapping[str, Any],
    ):
        super().__init__(function, requirements)
        self.figures = figures
        self.conditions = conditions


def metric(
    *, requires: tuple[Requirement, ...] = (), conditions: Mapping[str, Any] | None = None, **figures: Better
) -> Callable[[Callable[Options, Values]], MetricFunction[Options]]:
    """Make a metric of a function of `Results`.

    Args:
        requires: what it needs of the system.
        conditions: under which it measures, see `HasConditions`.
        figures: the values that can be compared, and whether less (`min`) or more (`max`) of each is better.
    """
    return lambda function: MetricFunction(function, figures, requires, conditions or {})


def best_of(metric: Any) -> Mapping[str, Better]:
    """What a metric, with or without its options, says of its values."""
    declared = declaration(metric)
    return declared.figures if isinstance(declared, HasFigures) else {}
