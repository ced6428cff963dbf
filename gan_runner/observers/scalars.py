"""Losses, scores, gradient norms, rates: fetched from the device together, now and then."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gan_runner.distributed import processes
from gan_runner.observers.base import Observer, StepEvent

if TYPE_CHECKING:
    from gan_runner.players import Player
    from gan_runner.runs.run import Run


@dataclass
class Scalars(Observer):
    """Fetches what the players reported, of several processes the mean.

    Args:
        every: steps between two fetches; what is not finite is noticed then.
    """

    all_ranks = True

    every: int

    def start(self, run: Run) -> None:
        """Start the clock."""
        self.run = run
        self.clock, self.step = time.perf_counter(), run.step

    def __call__(self, event: StepEvent) -> None:
        """One fetch for everything."""
        if not (event.due(self.every) or event.last):
            return
        values = dict(event.report)
        for player in self.run.system.players:
            gradients = [p.grad for p in player.parameters if p.grad is not None]
            values[f"{player.name}/gradient_norm"] = torch.nn.utils.get_total_norm(gradients)
        means = torch.stack([value.double().mean() for value in values.values()])
        fetched = processes.present.all_reduce_mean(means).tolist()
        event.scalars.update(zip(values, fetched))
        event.diverged += [name for name, value in zip(values, fetched) if not math.isfinite(value)]
        for player in self.run.system.players:
            if player.loss_scale is not None:
                self.forgive(event, player, float(player.loss_scale))
            event.scalars[f"{player.name}/learning_rate"] = float(player.optimizer.param_groups[0]["lr"])
        now = time.perf_counter()
        event.scalars["images_seen"] = self.run.images_seen
        began = max(self.clock, self.run.started)  # others may have taken long to get ready
        event.scalars["steps_per_second"] = (event.step - self.step) / (now - began)
        event.scalars["elapsed_s"] = self.run.elapsed_s
        self.clock, self.step = now, event.step

    def forgive(self, event: StepEvent, player: Player, scale: float) -> None:
        """In fp16 a gradient may overflow: the step was left out and the scale halved, as long as there is any."""
        event.scalars[f"{player.name}/loss_scale"] = scale
        norm = f"{player.name}/gradient_norm"
        if norm in event.diverged and scale >= 1:
            event.diverged.remove(norm)
            del event.scalars[norm]
