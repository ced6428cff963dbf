"""Steps of torch's optimizers without its compiler, which takes two seconds to import and is of no use to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer

from gan_runner.tools.torch_internals import bare_step


def eager_step(optimizer: Optimizer) -> Callable[[], Any]:
    """An optimizer's step; if it is one of torch's, a step that does not import the compiler.

    Torch wraps each `step` so that a compiler breaks its graph there. Without that wrapper the update is the same to
    the bit, hooks are called, and the profiler sees the step by its name.
    """
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim.") or optimizer.defaults.get("differentiable"):
        return optimizer.step
    return partial(Optimizer.profile_hook_step(torch.no_grad()(bare_step(kind))), optimizer)
