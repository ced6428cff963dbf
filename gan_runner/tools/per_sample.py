"""Random numbers for the samples of a batch, the same however many processes share it.

Whoever draws numbers for each sample draws them here and need not know of processes: they are drawn for the global
batch, and each process keeps those of its own samples. With a single process these are torch's own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import global_batch, local_shard


def draw(sampler: Callable[[int], Tensor], n: int) -> Tensor:
    """What a function draws for n samples, (n, …): it is called with the size of the global batch."""
    return local_shard(sampler(global_batch(n)))


def rand(*shape: int, dim: int = 0, **options: Any) -> Tensor:
    """U(0, 1) of this shape, in which `dim` is the dimension of samples; options are those of `torch.rand`."""
    return local_shard(torch.rand(of_global_batch(shape, dim), **options), dim)


def randn(*shape: int, dim: int = 0, **options: Any) -> Tensor:
    """N(0, 1) of this shape, in which `dim` is the dimension of samples; options are those of `torch.randn`."""
    return local_shard(torch.randn(of_global_batch(shape, dim), **options), dim)


def randint(low: int, high: int, *shape: int, **options: Any) -> Tensor:
    """Whole numbers from low to high − 1, of shape (n, …); options are those of `torch.randint`."""
    return local_shard(torch.randint(low, high, of_global_batch(shape), **options))


def dropout(x: Tensor, p: float) -> Tensor:
    """x (n, …) with zeros with probability p, and everything else divided by 1 − p."""
    shape = of_global_batch(x.shape)
    if shape == x.shape:
        return nn.functional.dropout(x, p)
    return x * local_shard(nn.functional.dropout(x.new_ones(shape), p))


def of_global_batch(shape: tuple[int, ...], dim: int = 0) -> tuple[int, ...]:
    """The shape (…, n, …) with the size of the global batch in dimension `dim`."""
    return (*shape[:dim], global_batch(shape[dim]), *shape[dim + 1 :])
