"""Numbers that may follow a schedule: weights of terms, knobs of layers, the decay of an average.

Whoever takes such a number passes what the configuration says through `scheduled` and multiplies by `times`, or looks
at it with `value_of`. A plain number stays one, and costs nothing. A schedule, such as those of
`gan_runner.optimizers.schedules`, becomes a buffer that graphs read and that the system moves once a training step,
together with the learning rates. It is a closed form of the step, so no checkpoint holds its value: a run may be
resumed with another schedule, with a number in place of a schedule, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

Schedule = Callable[[int], float]
"""The training step, from 0 on → a number."""


class Scheduled(nn.Module):
    """A number that follows a schedule, as a tensor.

    Args:
        schedule: the number of training steps taken → the number in the next one.
    """

    value: Tensor

    def __init__(self, schedule: Schedule):
        super().__init__()
        self.schedule = schedule
        self.register_buffer("value", torch.tensor(float(schedule(0))), persistent=False)

    @torch.no_grad()
    def move_to(self, step: int) -> None:
        """Take the value that it has after so many training steps."""
        self.value.fill_(self.schedule(step))

    def __format__(self, spec: str) -> str:
        function = self.schedule.func if isinstance(self.schedule, partial) else self.schedule
        return getattr(function, "__name__", "scheduled")


def scheduled(number: float | Schedule) -> float | Scheduled:
    """A plain number as it is; a schedule as a module.

    Whoever calls this must be a module, in its constructor, and keep what is returned as an attribute: the system moves
    the schedules that it finds in modules. A term that is a function would begin a new one at step 0 every time.
    """
    return Scheduled(number) if callable(number) else number


def value_of(number: float | Scheduled) -> float | Tensor:
    """What it is in this step: a scalar on the device where it follows a schedule."""
    return number.value if isinstance(number, Scheduled) else number


def times(number: float | Scheduled, x: Tensor) -> Tensor:
    """The product; what is to be multiplied by a plain one is returned as it is."""
    if isinstance(number, Scheduled):
        return number.value * x
    return x if number == 1 else number * x


def schedules_in(modules: Iterable[nn.Module]) -> Iterator[Scheduled]:
    """All numbers that follow a schedule in some modules, each once."""
    return (part for part in nn.ModuleList(modules).modules() if isinstance(part, Scheduled))
