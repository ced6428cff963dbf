"""All uses of torch's private interface in this package, one function each.

`tests/tools/test_torch_internals.py` tests each of them, and names the versions of torch for which they work. If a new
version changes one, only this file has to change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def load_no_compiler() -> None:
    """Prevent optimizers from importing torch's compiler, which takes two seconds, when they are created or saved.

    At their first call, torch wraps these methods by `torch._dynamo.disable`, and caches the result in an attribute.
    Without compilation, the plain function is equivalent.
    """
    for method in (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict):
        function: Any = inspect.unwrap(method)
        function.__dynamo_disable = function


def bare_step(kind: type[Optimizer]) -> Callable[[Optimizer], None]:
    """The `step` of a torch optimizer without its wrappers, which cannot be part of a graph."""
    return inspect.unwrap(kind.step)


def copy_together(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source to its target, in one kernel on a GPU."""
    if targets:
        torch._foreach_copy_(list(targets), list(sources))


def trace_autograd() -> None:
    """Let the compiler trace `torch.autograd.grad`, so that a graph includes first and higher derivatives."""
    torch._dynamo.config.trace_autograd_ops = True


def mark_static(tensor: Tensor) -> None:
    """Mark a tensor static (its address does not change) so that CUDA graphs can write to it."""
    torch._dynamo.mark_static_address(tensor)


def is_compiler_error(error: BaseException) -> bool:
    """Whether the compiler raised an error, by the name of its module, because the compiler may not be imported."""
    return type(error).__module__.startswith(("torch._dynamo.", "torch._inductor."))
