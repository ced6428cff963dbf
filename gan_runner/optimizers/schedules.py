"""Schedules: the factor of the learning rate, or another option of the optimizer, as a function of the training step.

They are closed forms: a run that is resumed with more steps follows the longer schedule at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gan_runner.tools.formulas import formula


@formula("1 → 0 over {steps} steps")
def linear(step: int, steps: int) -> float:
    """Linear decay from one to zero within `steps`."""
    return max(0.0, 1 - step / steps)


@formula("1 → 0 over {steps} steps along half a cosine")
def cosine(step: int, steps: int) -> float:
    """Cosine decay from one to zero within `steps` (Loshchilov & Hutter 2017, arXiv:1608.03983, Eq. 5)."""
    return (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


@formula("max({factor}ᵗ, {floor})")
def exponential(step: int, factor: float, floor: float = 0.0) -> float:
    """Exponential decay: `factor` to the power of the step, at least `floor`."""
    return max(factor**step, floor)


@formula("{start} → {end} over {steps} steps")
def ramp(step: int, start: float, end: float, steps: int) -> float:
    """Linear change from `start` to `end` within `steps`, then constant."""
    return start + (end - start) * min(1.0, step / steps)


@formula("1")
def constant(step: int) -> float:
    """Always one."""
    return 1.0


BETAS = {"beta1": 0, "beta2": 1}
"""The positions of Adam's two decays in `betas`."""


class LambdaOptions(LambdaLR):
    """A scheduler of the learning rate and of other options of an optimizer.

    Examples are the momentum (Sutskever et al. 2013, PMLR 28, Section 2) and Adam's beta2 (Huang et al. 2024,
    arXiv:2501.05441).

    Args:
        optimizer: the optimizer, which must have these options.
        lr_lambda: maps the step to a factor of the learning rate.
        options: for each option, a function from the step to its value; `beta1` and `beta2` are the entries of `betas`.

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
        """Advance by one step, and set the learning rate and the options."""
        super().step(*arguments)
        for group in self.optimizer.param_groups:
            for name, schedule in self.options.items():
                value = schedule(self.last_epoch)
                if name in BETAS:
                    group["betas"] = tuple(value if i == BETAS[name] else beta for i, beta in enumerate(group["betas"]))
                else:
                    group[name] = value

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's state without the functions, which come from the configuration."""
        return {key: value for key, value in super().state_dict().items() if key != "options"}
