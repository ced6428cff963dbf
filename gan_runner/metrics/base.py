"""The interface of a metric, and what it declares about its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

from annotated_types import Ge

from gan_runner.datasets.base import Split
from gan_runner.metrics.results import Reference
from gan_runner.requirements import Declared, Options, Requirement, declaration

Positive = Annotated[int, Ge(1)]
"""A number of things, such as samples, that is at least one."""

TwoOrMore = Annotated[int, Ge(2)]
"""A number of things that is at least two."""

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


Counts = Callable[[Mapping[str, Any], int, int], Mapping[str, Any]]
"""A function from the options of a metric, the number of samples and that of real samples to the numbers it uses."""


@runtime_checkable
class HasCounts(Protocol):
    """A metric that may use other numbers than it is given, such as fewer samples."""

    @property
    def counts(self) -> Counts:
        """The numbers that it uses."""


def equally_many(options: Mapping[str, Any], samples: int, real: int) -> dict[str, int]:
    """As many samples as real samples: the smaller of both numbers."""
    return dict.fromkeys(("samples", "real"), min(samples, real))


def at_most(option: str) -> Counts:
    """As many samples as real samples, and at most as many as an option of the metric says."""
    return lambda options, samples, real: equally_many(options, min(samples, options[option]), real)


def all_of_them(options: Mapping[str, Any], samples: int, real: int) -> dict[str, int]:
    """All samples and real samples."""
    return {}


@runtime_checkable
class ChoosesSplit(Protocol):
    """A metric with an option for the split that it measures on."""

    def measured_split(self, splits: Sequence[Split], selecting: bool) -> Split:
        """The split to measure on, of those that the dataset has; `selecting`: whether values select a checkpoint."""


@runtime_checkable
class Prepares(Protocol):
    """A metric with something to load before it measures, such as a feature network, so that errors come early."""

    def prepare(self, reference: Reference) -> None:
        """Load what the metric needs."""


@runtime_checkable
class Streams(Protocol):
    """A metric that can read the samples chunk by chunk, so that not all of them are in memory at once."""

    streaming: bool


@runtime_checkable
class NeedsSamples(Protocol):
    """A metric that needs more than one sample, and more than one of the data."""

    @property
    def least_samples(self) -> int:
        """The smallest number of samples that it works with."""


class MetricFunction(Declared[Options, Values]):
    """A function of the results as a metric.

    Args:
        function: `Results`, options → values by name.
        directions: see `HasDirections`.
        requirements: checks of the system.
        conditions: see `HasConditions`.
        counts: see `HasCounts`.
        least_samples: see `NeedsSamples`.
    """

    def __init__(
        self,
        function: Callable[Options, Values],
        directions: Mapping[str, Better],
        requirements: tuple[Requirement, ...],
        conditions: Mapping[str, Any],
        counts: Counts,
        least_samples: int,
    ):
        super().__init__(function, requirements)
        self.directions = directions
        self.conditions = conditions
        self.counts = counts
        self.least_samples = least_samples


def metric(
    *,
    requires: tuple[Requirement, ...] = (),
    conditions: Mapping[str, Any] | None = None,
    counts: Counts = all_of_them,
    least_samples: int = 1,
    **directions: Better,
) -> Callable[[Callable[Options, Values]], MetricFunction[Options]]:
    """Decorate a function of `Results` as a metric.

    Args:
        requires: checks of the system.
        conditions: see `HasConditions`.
        counts: see `HasCounts`.
        least_samples: see `NeedsSamples`.
        directions: the values that can be compared, each with `min` or `max`, whichever is better.
    """
    return lambda function: MetricFunction(function, directions, requires, conditions or {}, counts, least_samples)


def directions_of(metric: Any) -> Mapping[str, Better]:
    """The directions that a metric declares, whether or not its options are bound already."""
    declared = declaration(metric)
    return declared.directions if isinstance(declared, HasDirections) else {}
