"""Torch's optimizers without its compiler, which takes two seconds to import and which an optimizer has no use for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType

import torch
from torch.optim import Optimizer

MARKED = (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict)
"""Methods that load the compiler to be left out by it, unless they are marked as seen to."""


def eager(make: Callable[[], Optimizer]) -> Optimizer:
    """The optimizer that `make` constructs; if it is one of torch's, it loads no compiler when it steps either.

    Torch wraps each `step` so that a compiler, were it at work, would break its graph there. Here that layer is left
    out: the update is the same to the bit, hooks are called, and the profiler sees the step under its name.
    """
    for method in MARKED:
        function = inspect.unwrap(method)
        function.__dynamo_disable = function
    optimizer = make()
    kind = type(optimizer)
    if kind.__module__.startswith("torch.optim.") and not optimizer.defaults.get("differentiable"):
        step = Optimizer.profile_hook_step(torch.no_grad()(inspect.unwrap(kind.step)))
        optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]
    return optimizer
