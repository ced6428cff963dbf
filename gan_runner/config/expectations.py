"""The values that an experiment expects of its metrics, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Expectation:
    """The expected value of one metric at the end of a run. Without a bound the metric is reported, but not checked.

    Attributes:
        published: the value that the paper reports, if any.
        spread: the ± of that value, if the paper has it.
        source: paper and table.
        at_least: the smallest accepted value.
        at_most: the largest accepted value.
    """

    published: float | None = None
    spread: float | None = None
    source: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        """Raise ValueError for a published value without a bound."""
        if not self.bounded and (self.published, self.spread, self.source) != (None, None, None):
            raise ValueError("it has no bound, so every value passes; set at_least or at_most")

    @property
    def bounded(self) -> bool:
        """Whether there is a bound."""
        return self.at_least is not None or self.at_most is not None

    def accepts(self, value: float | None) -> bool:
        """Whether a value lies within the bounds. A value that is None or not finite does not."""
        low = float("-inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return value is not None and abs(value) != float("inf") and low <= value <= high

    def __str__(self) -> str:
        """The bounds, such as `≥ 7`."""
        bounds = {"≥": self.at_least, "≤": self.at_most}
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)


def final_value(final: Mapping[str, float | None], metric: str) -> float | None:
    """The last logged value of a metric, with or without its prefix `metric/`; None if missing or not finite."""
    return final.get(f"metric/{metric}", final.get(metric))


def was_measured(final: Mapping[str, float | None], metric: str) -> bool:
    """Whether a metric was logged, even if its value was not finite."""
    return f"metric/{metric}" in final or metric in final


def all_accepted(accepted: Iterable[bool | None]) -> bool | None:
    """Whether all were accepted; None if none was rejected and some were not measured."""
    accepted = list(accepted)
    return None if False not in accepted and None in accepted else all(accepted)


def verdict(expected: Mapping[str, Expectation], final: Mapping[str, float], completed: bool) -> dict[str, Any]:
    """The published, accepted and measured value of each metric, and whether all were accepted (`passed`).

    A completed run has measured everything, unless its user switched a metric off. Then `passed` is None.

    Args:
        expected: by the name of the metric. Metrics without a bound are left out; if none is left, the verdict is
            empty.
        final: the values logged last, by name, with or without the prefix `metric/`.
        completed: whether the run reached its last step.
    """
    expected = {metric: expectation for metric, expectation in expected.items() if expectation.bounded}
    if not expected:
        return {}
    measured = {metric: final_value(final, metric) for metric in expected}
    accepted = (
        None if completed and not was_measured(final, metric) else expectation.accepts(measured[metric])
        for metric, expectation in expected.items()
    )
    return {
        "published": {metric: expectation.published for metric, expectation in expected.items()},
        "spread": {metric: expectation.spread for metric, expectation in expected.items()},
        "source": {metric: expectation.source for metric, expectation in expected.items()},
        "accepted": {metric: str(expectation) for metric, expectation in expected.items()},
        "measured": measured,
        "passed": all_accepted(accepted),
    }
