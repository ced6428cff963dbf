"""Learning-rate schedules: a factor as a function of the step, for torch's LambdaLR.

They are closed forms, so that a run that is resumed for more steps is on the longer schedule from its next step on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def linear(step: int, steps: int) -> float:
    """From one at the start to zero after `steps`."""
    return max(0.0, 1 - step / steps)


def cosine(step: int, steps: int) -> float:
    """From one to zero after `steps`, along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983, Eq. 5)."""
    return (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


def exponential(step: int, factor: float, floor: float = 0.0) -> float:
    """Multiplied by `factor` every step, down to `floor`."""
    return max(factor**step, floor)


def ramp(step: int, start: float, end: float, steps: int) -> float:
    """Linearly from `start` to `end` within `steps`, and `end` from there on."""
    return start + (end - start) * min(1.0, step / steps)


def constant(step: int) -> float:
    """One."""
    return 1.0


class LambdaLRAndMomentum(LambdaLR):
    """A schedule of the learning rate, and one of the momentum (Sutskever et al. 2013, PMLR 28, Section 2).

    Args:
        optimizer: one with momentum, as SGD.
        lr_lambda: the step → a factor of the learning rate.
        momentum: the step → the momentum.

    Attributes:
        fits_one_graph: it does not: compiled with a whole iteration, the momentum would stay what it was.

    Raises:
        ValueError: the optimizer has no momentum.
    """

    fits_one_graph = False

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float], momentum: Callable[[int], float]):
        if "momentum" not in optimizer.defaults:
            raise ValueError(
                f"{type(optimizer).__name__} has no momentum to schedule; choose optimizer=sgd or another scheduler"
            )
        self.momentum = momentum
        super().__init__(optimizer, lr_lambda)

    def step(self, *arguments: Any) -> None:
        """Go on by one step."""
        super().step(*arguments)
        for group in self.optimizer.param_groups:
            group["momentum"] = self.momentum(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {key: value for key, value in super().state_dict().items() if key != "momentum"}
