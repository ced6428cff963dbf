"""Warns of samples that are all alike."""

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
    """Logs `sample_spread`, and warns when it falls below a bound: the generator has collapsed.

    The spread is the standard deviation of samples around their mean, in units of that of the data: 0 where all samples
    are one, 1 where they vary as much as the data. A generator that makes only some of the modes is not noticed.

    Args:
        every: steps between two looks.
        bound: a spread that is warned of.
        samples: so many are looked at, and as many of the data.
        seed: of the latents.
    """

    bound: float = 0.02
    samples: int = 64
    seed: int = 2

    def start(self, run: Run) -> None:
        """Measure the data, and fix the latents."""
        self.run = run
        self.spread_of_data = spread(run.data.real(self.samples))
        self.noise = run.system.noise(self.samples, self.seed)
        self.warned = False

    def observe(self, event: StepEvent) -> None:
        """Measure the spread; warn when it falls below the bound, and again only after it has risen."""
        if self.spread_of_data == 0:
            return
        relative = spread(self.run.system.sample(self.noise)) / self.spread_of_data
        event.scalars["sample_spread"] = relative
        if relative < self.bound and not self.warned:
            log.warning(
                "step %d: samples are almost all alike, with %.2g of the data's standard deviation (sample_spread). "
                "If it stays so the generator has collapsed; with an adversary try a gradient penalty, minibatch "
                "discrimination or another loss, without one smaller steps",
                event.step, relative,
            )  # fmt: skip
        self.warned = relative < self.bound


def spread(x: Tensor) -> float:
    """The root of the mean squared distance of x (n, *shape) from its mean."""
    return float((x - x.mean(0)).square().flatten(1).sum(1).mean().sqrt())
