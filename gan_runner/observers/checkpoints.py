"""Save checkpoints: periodically, at the end, and of the best step."""

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
    """Writes `checkpoints/last.pt` and `checkpoints/best.pt`, but never weights that are not finite.

    A run may be resumed from `last.pt`, so the best checkpoint at that step is kept as `best_STEP.pt` until the next
    `last.pt` is written.

    Args:
        every: steps between two checkpoints; 0 saves only at the end.
        keep: number of earlier checkpoints to keep as `checkpoints/step_*.pt`, in case the last one is lost.
    """

    writes = True

    keep: int = 1

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ValueError(f"keep={self.keep} must be at least 0")

    def start(self, run: Run) -> None:
        """Store the run, and delete superfluous checkpoints that a killed run left behind."""
        self.run = run
        self.saved_best = run.best.step
        run.directory.prune(run.step, self.keep)

    def __call__(self, event: StepEvent) -> None:
        """Save the run if a checkpoint is due, the run ends, or the step is the best one."""
        self.save(event, event.due(self.every) or event.ends)

    def rescue(self, event: StepEvent) -> None:
        """Save the current step, since another observer failed and the run ends."""
        self.save(event, last=True)

    def save(self, event: StepEvent, last: bool) -> None:
        """Save `last.pt` if `last` is true, and `best.pt` if this is the best step so far."""
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
