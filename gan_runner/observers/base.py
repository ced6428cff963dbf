"""The interface of observers."""

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
    """Base class of observers, which are called after every step; all methods have defaults.

    An observer reads the run and does not change it. It adds its results to the step's event, from which the run
    records best values and their conditions (`Run.record`).

    Attributes:
        all_ranks: whether it is called in all processes of a run, not only in the main process.
        writes: whether it writes the event, and so is called after all observers that add to it.
        measures: names of the metrics that it adds to those of `metric=`, with `min` or `max`, whichever is better.
        reads: names of the metrics that it needs.
        saved_as: name of its `state_dict` in checkpoints; empty if it has no state.
    """

    all_ranks: bool = False
    writes: bool = False
    measures: ClassVar[Mapping[str, Better]] = {}
    reads: Sequence[str] = ()
    saved_as: str = ""

    def start(self, run: Run) -> None:
        """Prepare for the run, which is about to take its next step."""

    def wants(self, step: int) -> bool:
        """Return whether the observer needs to be called after this step.

        When several seeds are trained together, observers are called only after such steps.
        """
        return False

    def __call__(self, event: StepEvent) -> None:
        """Observe a step and add results to the event."""

    def rescue(self, event: StepEvent) -> None:
        """Save what can be saved, since another observer failed and the run ends."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close open files and services at the end of the run; `summary` is that of summary.json."""

    def check_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Check before data is read that the observer can measure these metrics.

        Raises:
            ConfigError: it cannot.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the state for checkpoints: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""


@dataclass
class Periodic(Observer):
    """An observer that is active every few steps, and after the last step.

    Args:
        every: steps between two observations; 0 turns the observer off.
    """

    every: int

    def wants(self, step: int) -> bool:
        """Return whether an observation is due after this step."""
        return self.every > 0 and step % self.every == 0

    def __call__(self, event: StepEvent) -> None:
        """Observe the step, if an observation is due."""
        if event.due(self.every):
            self.observe(event)

    @abstractmethod
    def observe(self, event: StepEvent) -> None:
        """Observe a step and add results to the event."""
