"""Losses, scores, gradient norms, rates: fetched from the device together, now and then."""

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
    """Logs what the players reported, of several processes the mean; gradient norms, learning rates, steps a second.

    Args:
        every: steps between two lines; there is always one at the end.
    """

    all_ranks = True

    def start(self, run: Run) -> None:
        """Start the clock."""
        self.run = run
        self.clock, self.step = time.perf_counter(), run.step

    def __call__(self, event: StepEvent) -> None:
        """Log, if it is due, and after the last step."""
        if event.due(self.every) or event.last:
            self.observe(event)

    def observe(self, event: StepEvent) -> None:
        """One fetch for everything."""
        event.scalars |= fetch(self.run.system, event)
        for player in self.run.system.players:
            event.scalars[f"{player.name}/learning_rate"] = float(player.optimizer.param_groups[0]["lr"])
        now = time.perf_counter()
        event.scalars["images_seen"] = self.run.images_seen
        began = max(self.clock, self.run.started)  # others may have taken long to get ready
        event.scalars["steps_per_second"] = (event.step - self.step) / (now - began)
        event.scalars["elapsed_s"] = self.run.elapsed_s
        self.clock, self.step = now, event.step
