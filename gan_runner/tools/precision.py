"""In which precision numbers are computed.

Weights, optimizers, losses and whatever a turn shows are always in full precision. With `bf16` and `fp16` the layers
of networks multiply in half precision (automatic mixed precision, Micikevicius et al. 2018, arXiv:1710.03740); what
would lose its meaning there (gradients of critics with respect to their inputs, and all that is computed from
differences of near points) stays in full precision by `full_precision`. `tf32` is for all products there are on a GPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "tf32", "bf16", "fp16"]

HALF: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What the layers of networks multiply in, where that is not the precision of the weights."""

HAVE_HALF = ("cpu", "cuda", "xpu", "mps")
"""Devices on which networks can be made to."""


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """A context in which everything on the device of `x` is computed in the precision of its operands."""
    device = x.device.type
    lowered = device in HAVE_HALF and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if lowered else nullcontext()


def prepare_device(device: torch.device, precision: Precision) -> None:
    """Set what torch keeps for the whole process.

    On a GPU, `tf32` rounds the factors of matrix products in fp32 to ten bits (convolutions are by default), and
    convolutions are tried out for the fastest way, since their sizes never change; not where all must be deterministic.
    On a CPU, numbers below 1e-38 become zero, which is what they mean; they are a hundred times slower.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    torch.set_flush_denormal(device.type == "cpu")
