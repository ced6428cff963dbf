"""The best value of each metric of a run, and of its objective."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gan_runner.metrics.base import Better


@dataclass
class BestValues:
    """The best value so far of each metric, its step, and whether `min` or `max` is better.

    Args:
        objective: the metric that selects `best.pt`, if any.
        values: by metric: `value`, `step`, `better`.
    """

    objective: str | None
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def update(self, name: str, value: float, better: Better, step: int) -> None:
        """Store a value if it is finite and the best so far."""
        if not math.isfinite(value):
            return
        if name in self.values and better(value, self.values[name]["value"]) == self.values[name]["value"]:
            return
        self.values[name] = {"value": value, "step": step, "better": better.__name__}

    @property
    def value(self) -> float | None:
        """The best value of the objective, if it was measured."""
        return self.values.get(self.objective or "", {}).get("value")

    @property
    def step(self) -> int | None:
        """The step at which the objective was best, if it was measured."""
        return self.values.get(self.objective or "", {}).get("step")

    def state_dict(self) -> dict[str, Any]:
        """The values, for a checkpoint."""
        return self.values

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values from a checkpoint."""
        self.values = dict(state)
