"""Warn of mode collapse to a single sample."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from gan_runner.observers.base import Periodic
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run

log = logging.getLogger("gan_runner")


@dataclass
class Collapse(Periodic):
    """Logs `sample_spread`, and warns when it falls below a bound, which means that the generator has collapsed.

    The spread is the standard deviation of the samples around their mean, relative to the data: 0 if all samples are
    equal, 1 if they vary as much as the data. Partial mode collapse is not detected.

    Args:
        every: steps between two measurements.
        bound: spread below which to warn.
        samples: number of samples, and of real samples.
        seed: seed of the latents.
    """

    bound: float = 0.02
    samples: int = 64
    seed: int = 2

    def start(self, run: Run) -> None:
        """Measure the spread of the data, and draw the latents."""
        self.run = run
        self.spread_of_data = spread(run.data.real(self.samples))
        self.noise = run.system.noise(self.samples, self.seed)
        self.warned = False

    def observe(self, event: StepEvent) -> None:
        """Measure the spread, and warn when it falls below the bound; warn again only after it has risen above."""
        if self.spread_of_data == 0:
            return
        relative = spread(self.run.system.sample(self.noise)) / self.spread_of_data
        event.scalars["sample_spread"] = relative
        if relative < self.bound and not self.warned:
            log.warning(
                "step %d: samples are almost equal, with %.2g of the data's standard deviation (sample_spread). If "
                "this persists, the generator has collapsed; try a gradient penalty, minibatch discrimination, another "
                "loss, or, without a critic, a smaller learning rate",
                event.step, relative,
            )  # fmt: skip
        self.warned = relative < self.bound


def spread(x: Tensor) -> float:
    """Return the root mean square distance of samples (n, *shape) from their mean."""
    return float((x - x.mean(0)).square().flatten(1).sum(1).mean().sqrt())
