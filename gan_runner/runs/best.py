"""The best value of each metric of a run, and of its objective."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gan_runner.metrics.base import Better

log = logging.getLogger("gan_runner")


@dataclass
class BestValues:
    """The best value so far of each metric, its step, and whether `min` or `max` is better.

    Args:
        objective: the metric that selects `best.pt`, if any.
        values: by metric: `value`, `step`, `better`, and the `conditions` under which it was measured.
    """

    objective: str | None
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def update(self, name: str, value: float, better: Better, step: int, conditions: Mapping[str, Any]) -> None:
        """Store a value if it is finite and the best so far. Values under other conditions are not compared."""
        if not math.isfinite(value):
            return
        before = self.values.get(name)
        if before and before["conditions"] != conditions:
            earlier = before["conditions"]
            differing = [key for key in {**earlier, **conditions} if earlier.get(key) != conditions.get(key)]
            log.warning(
                "%s is measured differently from step %d on (%s), so its best value before that, %.4g, is discarded",
                name,
                step,
                ", ".join(differing),
                before["value"],
            )
            before = None
        if before and better(value, before["value"]) == before["value"]:
            return
        self.values[name] = {"value": value, "step": step, "better": better.__name__, "conditions": dict(conditions)}

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
