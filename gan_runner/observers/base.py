"""What an observer is, and what it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from gan_runner.metrics.figures import Better

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class StepEvent:
    """One step, as observers see it and what they found.

    Attributes:
        step: steps done, this one included.
        report: what the players reported, still on the device; of what has many numbers the mean is meant.
        last: whether the run is done after this step.
        stopping: whether it must stop here, unfinished.
        scalars: figures to be written, by key.
        pictures: files to be shown, by key.
        diverged: names of what is no longer finite.
    """

    step: int
    report: Mapping[str, Tensor]
    last: bool = False
    stopping: bool = False
    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    diverged: list[str] = field(default_factory=list)

    def due(self, every: int) -> bool:
        """Whether something done every so many steps (0: never), and at the end, is due."""
        return every > 0 and (self.last or self.step % every == 0)


class Observer:
    """Looks at a run. All methods may be left out.

    Attributes:
        all_ranks: whether it is called in all processes of a run, and not in the main process alone.
        writes: whether it writes down what others found, so that it looks after all that do not.
        every_step: whether each step matters to it, also where others look now and then.
        figures: those that it measures beside the metrics, and whether less (`min`) or more (`max`) is better.
        reads: figures of metrics that it cannot do without.
    """

    all_ranks: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    every_step: ClassVar[bool] = False
    figures: ClassVar[Mapping[str, Better]] = {}

    @property
    def reads(self) -> tuple[str, ...]:
        """None."""
        return ()

    def start(self, run: Run) -> None:
        """The run is about to take its next step."""

    def __call__(self, event: StepEvent) -> None:
        """A step is done."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The run has ended, as the summary says."""
