"""Saves the run now and then, when it ends, and when it is the best so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.observers.base import Periodic
from gan_runner.runs.divergence import check_weights
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Checkpoints(Periodic):
    """Writes `checkpoints/last.pt` and `checkpoints/best.pt`; never weights that are not finite.

    A run may go back to `last.pt`, so what was best until then is kept as `best_STEP.pt` until the next.

    Args:
        every: steps between two checkpoints; 0 saves only at the end.
        keep: how many before the last are kept, as `checkpoints/step_*.pt`: of several, in case it is lost.
    """

    writes = True

    keep: int = 1

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ValueError(f"keep={self.keep} must be at least 0")

    def start(self, run: Run) -> None:
        """Remember the run; one that was killed may have kept too many checkpoints."""
        self.run = run
        self.saved_best = run.best.step
        run.directory.prune(run.step, self.keep)

    def __call__(self, event: StepEvent) -> None:
        """Save, if it is due."""
        self.save(event, event.due(self.every) or event.ends)

    def rescue(self, event: StepEvent) -> None:
        """Save what follows the last checkpoint."""
        self.save(event, last=True)

    def save(self, event: StepEvent, last: bool) -> None:
        """Save as `last.pt` if wanted, and as `best.pt` if the objective was never better."""
        best = self.run.best.step == event.step
        if best or last:
            check_weights(self.run.system, event)
        if event.non_finite:
            return
        if best:
            if self.saved_best is not None:
                self.run.directory.backup_best(self.saved_best)
                self.saved_best = None
            self.run.save(self.run.directory.best)
        if last:
            self.run.save(self.run.directory.numbered(event.step))
            self.run.directory.keep(event.step, self.keep)
            self.saved_best = self.run.best.step
            self.run.directory.settle_best(self.saved_best)
