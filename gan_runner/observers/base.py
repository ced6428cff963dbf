"""What an observer is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gan_runner.metrics.base import Better
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


class Observer:
    """Looks at a run after its steps; the base class has a default for everything.

    It reads the run and writes nothing into it: what it finds it adds to the step's event, from which the run takes
    best values and how they were measured (`Run.record`).

    Attributes:
        all_ranks: whether it is called in all processes of a run, and not in the main process alone.
        writes: whether it writes down what others found, so that it is called after all that do not.
        measures: metrics that it adds to those of `metric=`, and whether less (`min`) or more (`max`) is better.
        reads: metrics that it needs.
        saved_as: the name under which checkpoints keep its `state_dict`; empty if there is nothing to keep.
    """

    all_ranks: bool = False
    writes: bool = False
    measures: ClassVar[Mapping[str, Better]] = {}
    reads: Sequence[str] = ()
    saved_as: str = ""

    def start(self, run: Run) -> None:
        """Get ready; the run is about to take its next step."""

    def wants(self, step: int) -> bool:
        """Whether it has something to do after this step even if no other observer has.

        Several seeds that are trained together are looked at only then.
        """
        return False

    def __call__(self, event: StepEvent) -> None:
        """Look at a step; add to the event what was found."""

    def rescue(self, event: StepEvent) -> None:
        """Keep what can be kept; another observer has failed, and the run ends."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close what is open; the run has ended as the summary says."""

    def state_dict(self) -> dict[str, Any]:
        """What checkpoints keep of it: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""


@dataclass
class Periodic(Observer):
    """An observer that looks every so many steps, and after the last one.

    Args:
        every: steps between two looks; 0 for none at all.
    """

    every: int

    def wants(self, step: int) -> bool:
        """Whether it is due."""
        return self.every > 0 and step % self.every == 0

    def __call__(self, event: StepEvent) -> None:
        """Look, if it is due."""
        if event.due(self.every):
            self.observe(event)

    @abstractmethod
    def observe(self, event: StepEvent) -> None:
        """Look at a step; add to the event what was found."""
