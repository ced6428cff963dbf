"""Schedules: the factor of the learning rate, or another option of the optimizer, as a function of the step.

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


BETAS = {"beta1": 0, "beta2": 1}
"""Where the decay of Adam's mean and of its mean square stand in `betas`."""


class LambdaOptions(LambdaLR):
    """A schedule of the learning rate, and of other numbers in the optimizer's parameter groups.

    Such as the momentum (Sutskever et al. 2013, PMLR 28, Section 2), or Adam's beta2 (Huang et al. 2024,
    arXiv:2501.05441).

    Args:
        optimizer: one that has these options.
        lr_lambda: the step → a factor of the learning rate.
        options: by name, the step → the option itself; `beta1` and `beta2` are the entries of `betas`.

    Raises:
        ValueError: the optimizer lacks an option.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float], **options: Callable[[int], float]):
        for name in options:
            if ("betas" if name in BETAS else name) not in optimizer.defaults:
                raise ValueError(
                    f"{type(optimizer).__name__} has no {name} to schedule; choose "
                    f"optimizer={'adam' if name in BETAS else 'sgd'} or another scheduler"
                )
        self.options = options
        super().__init__(optimizer, lr_lambda)

    def step(self, *arguments: Any) -> None:
        """Go on by one step."""
        super().step(*arguments)
        for group in self.optimizer.param_groups:
            for name, schedule in self.options.items():
                value = schedule(self.last_epoch)
                if name in BETAS:
                    group["betas"] = tuple(value if i == BETAS[name] else beta for i, beta in enumerate(group["betas"]))
                else:
                    group[name] = value

    def state_dict(self) -> dict[str, Any]:
        """The step, and what torch keeps beside it; the schedules are functions and come from the configuration."""
        return {key: value for key, value in super().state_dict().items() if key != "options"}
