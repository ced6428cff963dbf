"""Saves the run now and then, when it ends, and when it is the best so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_runner.observers.base import Observer, StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Checkpoints(Observer):
    """Writes `checkpoints/last.pt` and `checkpoints/best.pt`; never a state that has diverged.

    A run may go back to `last.pt`, so what was best until then is kept as `best_STEP.pt` until the next.

    Args:
        every: steps between two checkpoints; 0 saves only at the end.
        keep: how many before the last are kept, as `checkpoints/step_*.pt`: of several, in case it is lost.
    """

    writes = True

    every: int
    keep: int = 1

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ValueError(f"keep={self.keep} must be at least 0")

    def start(self, run: Run) -> None:
        """Remember whose; a run that was killed may have kept too many."""
        self.run = run
        self.saved_best = run.best_step
        run.directory.prune(run.step, self.keep)

    def __call__(self, event: StepEvent) -> None:
        """Save, if it is time."""
        best = self.run.objective_step == event.step
        last = event.due(self.every) or event.last or event.stopping
        if best or last:
            event.diverged += self.run.diverged_networks()
        if event.diverged:
            return
        if best:
            if self.saved_best is not None:
                self.run.directory.backup_best(self.saved_best)
                self.saved_best = None
            self.run.save(self.run.directory.best)
        if last:
            self.run.save(self.run.directory.numbered(event.step))
            self.run.directory.keep(event.step, self.keep)
            self.saved_best = self.run.best_step
            self.run.directory.settle_best(self.saved_best)
