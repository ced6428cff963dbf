"""Random numbers for the samples of a batch, independent of the number of processes.

Code that draws numbers for each sample uses these functions. They draw numbers for the global batch, and each process
keeps those of its own samples. With a single process these are torch's own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import global_batch, local_shard


def draw(sampler: Callable[[int], Tensor], n: int) -> Tensor:
    """Draw numbers (n, …) for n samples. `sampler` is called with the size of the global batch."""
    return local_shard(sampler(global_batch(n)))


def rand(*shape: int, dim: int = 0, **options: Any) -> Tensor:
    """Draw from U(0, 1) in this shape; `dim` is the dimension of samples. Takes the options of `torch.rand`."""
    return local_shard(torch.rand(of_global_batch(shape, dim), **options), dim)


def randn(*shape: int, dim: int = 0, **options: Any) -> Tensor:
    """Draw from N(0, 1) in this shape; `dim` is the dimension of samples. Takes the options of `torch.randn`."""
    return local_shard(torch.randn(of_global_batch(shape, dim), **options), dim)


def randint(low: int, high: int, *shape: int, **options: Any) -> Tensor:
    """Draw integers from low to high − 1, of shape (n, …). Takes the options of `torch.randint`."""
    return local_shard(torch.randint(low, high, of_global_batch(shape), **options))


def dropout(x: Tensor, p: float) -> Tensor:
    """Set elements of x (n, …) to zero with probability p, and divide the others by 1 − p."""
    shape = of_global_batch(x.shape)
    if shape == x.shape:
        return nn.functional.dropout(x, p)
    return x * local_shard(nn.functional.dropout(x.new_ones(shape), p))


def of_global_batch(shape: tuple[int, ...], dim: int = 0) -> tuple[int, ...]:
    """A shape with the size of the global batch in dimension `dim`."""
    return (*shape[:dim], global_batch(shape[dim]), *shape[dim + 1 :])
