"""Steps of torch's optimizers without importing torch's compiler, which takes two seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer

from gan_runner.tools.torch_internals import bare_step


def eager_step(optimizer: Optimizer) -> Callable[[], Any]:
    """The step function of an optimizer; for torch's own optimizers, one that does not import the compiler.

    Torch wraps each `step` to break compiled graphs there. Without the wrapper the update is bit-identical, hooks are
    called, and the profiler shows the step by its name.
    """
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim.") or optimizer.defaults.get("differentiable"):
        return optimizer.step
    return partial(Optimizer.profile_hook_step(torch.no_grad()(bare_step(kind))), optimizer)
