"""The interface of a metric, and what it declares about its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from gan_runner.metrics.results import Reference
from gan_runner.requirements import Declared, Options, Requirement, declaration

Better = Callable[[float, float], float]
"""`min` or `max`: the better one of two values."""

Values = dict[str, float]
"""The values that a metric returns, by name."""


@runtime_checkable
class HasDirections(Protocol):
    """A metric that declares which of its values can be compared, and in which direction each is better."""

    @property
    def directions(self) -> Mapping[str, Better]:
        """`min` or `max` by the name of the value."""


@runtime_checkable
class HasConditions(Protocol):
    """A metric that does not measure under the conditions of the evaluation (samples, real samples, split)."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Its own conditions by name; None for one that does not apply.

        A condition may be a function (splits of the dataset, whether values select a checkpoint) → condition.
        """


@runtime_checkable
class Prepares(Protocol):
    """A metric with something to load before it measures, such as a feature network, so that errors come early."""

    def prepare(self, reference: Reference) -> None:
        """Load what the metric needs."""


@runtime_checkable
class Streams(Protocol):
    """A metric that can read the samples chunk by chunk, so that not all of them are in memory at once."""

    streaming: bool


class MetricFunction(Declared[Options, Values]):
    """A function of the results as a metric.

    Args:
        function: `Results`, options → values by name.
        directions: see `HasDirections`.
        requirements: checks of the system.
        conditions: see `HasConditions`.
    """

    def __init__(
        self,
        function: Callable[Options, Values],
        directions: Mapping[str, Better],
        requirements: tuple[Requirement, ...],
        conditions: Mapping[str, Any],
    ):
        super().__init__(function, requirements)
        self.directions = directions
        self.conditions = conditions


def metric(
    *, requires: tuple[Requirement, ...] = (), conditions: Mapping[str, Any] | None = None, **directions: Better
) -> Callable[[Callable[Options, Values]], MetricFunction[Options]]:
    """Decorate a function of `Results` as a metric.

    Args:
        requires: checks of the system.
        conditions: see `HasConditions`.
        directions: the values that can be compared, each with `min` or `max`, whichever is better.
    """
    return lambda function: MetricFunction(function, directions, requires, conditions or {})


def directions_of(metric: Any) -> Mapping[str, Better]:
    """The directions that a metric declares, whether or not its options are bound already."""
    declared = declaration(metric)
    return declared.directions if isinstance(declared, HasDirections) else {}
