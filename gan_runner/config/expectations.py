"""What an experiment expects of its figures, and whether it came true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Expectation:
    """Of one figure at the end of a run; without a bound it is there to be told, and not to be judged.

    Attributes:
        published: what the paper reports, where it does.
        spread: ± of that, as the paper has it.
        source: where it stands: paper and table.
        at_least: the least value that is accepted.
        at_most: the greatest value that is accepted.
    """

    published: float | None = None
    spread: float | None = None
    source: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        """Raise ValueError for a figure without saying what is accepted."""
        if not self.bounded and (self.published, self.spread, self.source) != (None, None, None):
            raise ValueError("it accepts anything; set at_least or at_most")

    @property
    def bounded(self) -> bool:
        """Whether there is a bound."""
        return self.at_least is not None or self.at_most is not None

    def accepts(self, value: float | None) -> bool:
        """Whether a value lies within the bounds; one that was not measured, or is not finite, does not."""
        low = float("-inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return value is not None and abs(value) != float("inf") and low <= value <= high

    def __str__(self) -> str:
        """The bounds in words."""
        bounds = {"≥": self.at_least, "≤": self.at_most}
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)


def figure_in(final: Mapping[str, float | None], figure: str) -> float | None:
    """A figure among those last logged, where a metric's has a prefix; None if it is not there, or was not finite."""
    return final.get(f"metric/{figure}", final.get(figure))


def was_measured(final: Mapping[str, float | None], figure: str) -> bool:
    """Whether a figure is among those last logged, finite or not."""
    return f"metric/{figure}" in final or figure in final


def all_accepted(judged: Iterable[bool | None]) -> bool | None:
    """Whether all were accepted; None if none was refused, and some could not be judged."""
    judged = list(judged)
    return None if False not in judged and None in judged else all(judged)


def verdict(expected: Mapping[str, Expectation], final: Mapping[str, float], completed: bool) -> dict[str, Any]:
    """What is published, accepted and measured of each figure, and whether all were accepted.

    A run that is completed has measured everything at its end, unless its user left that out: then it is not judged,
    and `passed` is None.

    Args:
        expected: by the figure's name; a run that promises nothing, with no bound among them, has an empty verdict.
        final: the figures last logged; a metric's is found with and without its prefix.
        completed: whether the run came to its end.
    """
    expected = {figure: expectation for figure, expectation in expected.items() if expectation.bounded}
    if not expected:
        return {}
    measured = {figure: figure_in(final, figure) for figure in expected}
    judged = (
        None if completed and not was_measured(final, figure) else expectation.accepts(measured[figure])
        for figure, expectation in expected.items()
    )
    return {
        "published": {figure: expectation.published for figure, expectation in expected.items()},
        "spread": {figure: expectation.spread for figure, expectation in expected.items()},
        "source": {figure: expectation.source for figure, expectation in expected.items()},
        "accepted": {figure: str(expectation) for figure, expectation in expected.items()},
        "measured": measured,
        "passed": all_accepted(judged),
    }
