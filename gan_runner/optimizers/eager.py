"""Torch's optimizers without its compiler, which takes two seconds to import and of which an eager run has no use."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType

import torch
from torch.optim import Optimizer

MARKED = (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict)
"""Methods that load the compiler to be left out by it, unless they are marked as seen to."""


def eager(make: Callable[[], Optimizer]) -> Optimizer:
    """The optimizer that `make` constructs, to the bit; if it is torch's, it loads no compiler when it steps either.

    Torch wraps each `step` so that the compiler, were it at work, would break its graph there. What is lost by going
    around that is `differentiable`; hooks and the profiler's name are kept.
    """
    for method in MARKED:
        function = inspect.unwrap(method)
        function.__dynamo_disable = function  # type: ignore[attr-defined]
    optimizer = make()
    kind = type(optimizer)
    if kind.__module__.startswith("torch.optim.") and not optimizer.defaults.get("differentiable"):
        step = Optimizer.profile_hook_step(torch.no_grad()(inspect.unwrap(kind.step)))
        optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]
    return optimizer
