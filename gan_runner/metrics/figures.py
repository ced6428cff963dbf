"""What a metric says of its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

Better = Callable[[float, float], float]
"""`min` or `max`: the better one of two values."""

Metric = TypeVar("Metric", bound=Callable)


def figures(**better: Better) -> Callable[[Metric], Metric]:
    """Mark a metric with the names of its figures, and whether less or more of each is better."""

    def mark(metric: Metric) -> Metric:
        metric.figures = better  # type: ignore[attr-defined]
        return metric

    return mark


def measured(**conditions: Any) -> Callable[[Metric], Metric]:
    """Mark a metric with conditions under which it measures, where they are not those of the evaluation.

    A function is asked for one, of a dataset's splits and of whether figures choose among checkpoints.
    """

    def mark(metric: Metric) -> Metric:
        metric.conditions = conditions  # type: ignore[attr-defined]
        return metric

    return mark


def best_of(metric: Any) -> Mapping[str, Better]:
    """What a metric, with or without its knobs, says of its figures."""
    function: Any = metric.func if isinstance(metric, partial) else metric
    return function.figures
