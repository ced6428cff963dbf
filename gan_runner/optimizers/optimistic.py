"""Optimistic gradients: each step extrapolates the last change of the direction.

Daskalakis et al. 2018, arXiv:1711.00141: the step is w ← w − lr · (d + optimism · (d − d')), where d is the direction
of this step, defined by a subclass, and d' that of the last step, zero at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Optimistic(torch.optim.Optimizer):
    """Base class of optimizers with optimism; a subclass computes the direction.

    Args:
        params: the parameters to optimise.
        lr: the learning rate, at least zero.
        optimism: the weight of the extrapolation: 0 for none, 1 as in the paper.
        options: options of the direction, stored in each parameter group.

    Raises:
        ValueError: the learning rate is negative.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, optimism: float, **options: Any):
        if lr < 0:
            raise ValueError(f"lr={lr} is negative; choose zero or more")
        super().__init__(params, {"lr": lr, "optimism": optimism, **options})

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The initial state of a parameter: the direction of the last step, zero."""
        return {"direction": torch.zeros_like(parameter)}

    def direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """The direction of the step, a new tensor of the gradient's shape; it may update `state`."""
        raise TypeError(f"{type(self).__name__} must define the method direction")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update each parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(self.new_state(parameter))
                direction = self.direction(parameter.grad, state, group)
                parameter.sub_(group["lr"] * (direction + group["optimism"] * (direction - state["direction"])))
                state["direction"].copy_(direction)
        return loss


class GradientDescent(Optimistic):
    """Gradient descent, with momentum of either sign and optimism.

    v ← momentum · v + ∇; w ← w − lr · (v + optimism · (v − v')). With alternating updates, negative momentum damps the
    rotation of a game (Gidel et al. 2019, arXiv:1807.04740, where the step is lr · ∇ + momentum · the last step, which
    is equal at a constant rate); torch's SGD rejects it. With optimism 1 and no momentum it is optimistic mirror
    descent, w ← w − 2 lr · ∇ + lr · ∇' (Daskalakis et al. 2018, arXiv:1711.00141).

    Args:
        params: the parameters to optimise.
        lr: the learning rate.
        momentum: the momentum, strictly between −1 and 1.
        optimism: the weight of the extrapolation: 0 for none, 1 as in the paper.

    Raises:
        ValueError: the learning rate is negative, or the momentum is out of range.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0, optimism: float = 0.0):
        if not -1 < momentum < 1:
            raise ValueError(f"momentum={momentum} must lie between -1 and 1")
        super().__init__(params, lr, optimism, momentum=momentum)

    def direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """momentum · last direction + gradient."""
        return gradient + group["momentum"] * state["direction"]


class OptimisticAdam(Optimistic):
    """Adam with optimism: w ← w − 2 lr · m̂/(√v̂ + eps) + lr · m̂'/(√v̂' + eps).

    Daskalakis et al. 2018, arXiv:1711.00141, Algorithm 1, which is optimism 1.

    Args:
        params: the parameters to optimise.
        lr: the learning rate.
        betas: the decays of the means of gradients and of squared gradients, each in [0, 1).
        eps: added to the root of the mean square.
        optimism: the weight of the extrapolation; 0 is Adam (Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1).

    Raises:
        ValueError: the learning rate is negative, or betas are out of range.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        optimism: float = 1.0,
    ):
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={list(betas)} must lie in [0, 1)")
        super().__init__(params, lr, optimism, betas=tuple(betas), eps=eps)

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The initial state of a parameter: last direction, mean, mean square, and number of gradients, all zero."""
        zeros = torch.zeros_like(parameter)
        count = torch.zeros((), device=parameter.device, dtype=torch.float64)  # 1 − 0.999 loses digits
        return {"mean": zeros, "square": zeros.clone(), "step": count, **super().new_state(parameter)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state and move step counts to the device of their parameters, which torch does not do."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            if "step" in state:
                state["step"] = state["step"].to(parameter.device)

    def direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """m̂/(√v̂ + eps), where the means m̂ and v̂ are corrected for their start at zero."""
        state["step"] += 1
        beta1, beta2 = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - beta1) / (1 - beta1 ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - beta2) / (1 - beta2 ** state["step"])
        return mean / (square.sqrt() + group["eps"])
