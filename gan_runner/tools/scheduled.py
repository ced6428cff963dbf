"""Numbers that may follow a schedule: weights of terms, options of layers, the decay of a moving average.

A part passes such an option through `scheduled`, and uses it by `times` or `value_of`. A plain number stays a number,
at no cost. A schedule, such as those of `gan_runner.optimizers.schedules`, becomes a buffer that compiled graphs read,
and that the system updates once per training step, together with the learning rates. It is a function of the step, so
checkpoints do not hold its value: a run may be resumed with another schedule, or with a number instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

Schedule = Callable[[int], float]
"""Maps the training step, from 0 on, to a number."""


class Scheduled(nn.Module):
    """A number that follows a schedule, as a tensor.

    Args:
        schedule: maps the number of training steps done to the value in the next step.
    """

    value: Tensor

    def __init__(self, schedule: Schedule):
        super().__init__()
        self.schedule = schedule
        self.register_buffer("value", torch.tensor(float(schedule(0))), persistent=False)

    @torch.no_grad()
    def move_to(self, step: int) -> None:
        """Set the value after this many training steps."""
        self.value.fill_(self.schedule(step))

    def __format__(self, spec: str) -> str:
        function = self.schedule.func if isinstance(self.schedule, partial) else self.schedule
        return getattr(function, "__name__", "scheduled")


def scheduled(number: float | Schedule) -> float | Scheduled:
    """Convert a schedule to a module; return a plain number unchanged.

    Call this in the constructor of a module, and store the result as an attribute: the system updates the schedules
    that it finds in modules. A term that is a plain function would start a new schedule at step 0 in every step.
    """
    return Scheduled(number) if callable(number) else number


def value_of(number: float | Scheduled) -> float | Tensor:
    """The value in this step: a number, or a scalar tensor on the device if it follows a schedule."""
    return number.value if isinstance(number, Scheduled) else number


def times(number: float | Scheduled, x: Tensor) -> Tensor:
    """The product `number * x`; `x` itself if the number is a plain 1."""
    if isinstance(number, Scheduled):
        return number.value * x
    return x if number == 1 else number * x


def schedules_in(modules: Iterable[nn.Module]) -> Iterator[Scheduled]:
    """All scheduled numbers in these modules, each once."""
    return (part for part in nn.ModuleList(modules).modules() if isinstance(part, Scheduled))
