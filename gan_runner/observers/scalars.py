"""Log losses, scores, gradient norms and learning rates, fetched from the device together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.observers.base import Periodic
from gan_runner.runs.divergence import fetch
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Scalars(Periodic):
    """Logs the values that players report (their mean over processes), gradient norms, learning rates and speed.

    Args:
        every: steps between two lines; the last step is always logged.
    """

    all_ranks = True

    def start(self, run: Run) -> None:
        """Start the clock."""
        self.run = run
        self.clock, self.step = time.perf_counter(), run.step

    def __call__(self, event: StepEvent) -> None:
        """Log the step if it is due, or the last one."""
        if event.due(self.every) or event.last:
            self.observe(event)

    def observe(self, event: StepEvent) -> None:
        """Fetch all values from the device at once."""
        event.scalars |= fetch(self.run.system, event)
        for player in self.run.system.players:
            event.scalars[f"{player.name}/learning_rate"] = float(player.rate)
        now = time.perf_counter()
        event.scalars["images_seen"] = self.run.images_seen
        began = max(self.clock, self.run.started)  # other observers may have taken long to start
        event.scalars["steps_per_second"] = (event.step - self.step) / (now - began)
        event.scalars["elapsed_s"] = self.run.elapsed_s
        self.clock, self.step = now, event.step
