"""Everything that this package uses of torch beyond its public interface, one function each.

`tests/tools/test_torch_internals.py` shows each of them at work, and says for which versions of torch they hold. Where
a new version changes one, only this file changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def load_no_compiler() -> None:
    """Let optimizers be made, saved and loaded without importing torch's compiler, which takes two seconds.

    torch hides these methods from the compiler by `torch._dynamo.disable` at their first call, and keeps the result in
    an attribute. Uncompiled, the function itself is the same.
    """
    for method in (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict):
        function: Any = inspect.unwrap(method)
        function.__dynamo_disable = function


def bare_step(kind: type[Optimizer]) -> Callable[[Optimizer], None]:
    """The update of one of torch's optimizers, without the wrappers around it, which a graph cannot hold."""
    return inspect.unwrap(kind.step)


def copy_together(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Write each source over its target, in one kernel on a GPU."""
    if targets:
        torch._foreach_copy_(list(targets), list(sources))


def trace_autograd() -> None:
    """Let the compiler trace `torch.autograd.grad`, so that a graph holds derivatives and derivatives of these."""
    torch._dynamo.config.trace_autograd_ops = True


def mark_static(tensor: Tensor) -> None:
    """Promise that a tensor stays where it is, so that a CUDA graph may write to it."""
    torch._dynamo.mark_static_address(tensor)


def is_compiler_error(error: BaseException) -> bool:
    """Whether the compiler raised it; asked by name, since the compiler is imported only where it is used."""
    return type(error).__module__.startswith(("torch._dynamo.", "torch._inductor."))
