"""The numerical precision of a run.

Weights, optimizers, losses and the quantities of a turn are always in full precision. With `bf16` and `fp16`, the
layers of networks multiply in half precision (automatic mixed precision, Micikevicius et al. 2018, arXiv:1710.03740).
Computations that need more precision, such as gradients of critics by their inputs and differences of close points,
use `full_precision`. `tf32` applies to all matrix products on a GPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "tf32", "bf16", "fp16"]

AUTOCAST_DTYPES: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The dtype of products in the layers of networks, by precision, if it is not that of the weights."""

AUTOCAST_DEVICES = ("cpu", "cuda", "xpu", "mps")
"""The devices that support automatic mixed precision."""


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Context without autocast on the device of `x`: operations use the precision of their operands."""
    device = x.device.type
    autocast = device in AUTOCAST_DEVICES and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if autocast else nullcontext()


def prepare_device(device: torch.device, precision: Precision) -> None:
    """Set torch's process-wide options.

    On a GPU, `tf32` rounds the factors of fp32 matrix products to ten bits (convolutions do so by default). cuDNN
    searches for the fastest convolution algorithm, because sizes never change, unless the run must be deterministic.
    On a CPU, denormal numbers (below 1e-38) become zero; computing with them is a hundred times slower.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    torch.set_flush_denormal(device.type == "cpu")
