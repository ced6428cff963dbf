"""Divide a global batch among processes that together compute the same gradients as a single process.

Every process has the same weights, draws the random numbers of the global batch, and keeps its own rows of both. The
objective is the mean of the processes' objectives. So a mean over samples needs no communication. A term that couples
samples is computed by every process from the rows of all (`all_gather`). Gradients are averaged at the end
(`all_reduce_mean`). All of these use one operation, the sum over processes (`all_reduce_sum`). It is its own adjoint
and can be differentiated any number of times.

A batch is divided only inside `sharded`, around a training step. Outside it, and with a single process, these functions
return their arguments: networks are initialised, and samples are evaluated, with the global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor
from torch.nn.functional import pad

from gan_runner.errors import ProcessLost


@dataclass
class Shards:
    """The number of processes among which a batch is divided, and the index of this one."""

    count: int = 1
    index: int = 0


shards = Shards()


@contextmanager
def sharded(count: int, index: int) -> Iterator[None]:
    """Context in which the rows of a batch are divided among `count` processes; this is number `index`."""
    shards.count, shards.index = count, index
    try:
        yield
    finally:
        shards.count, shards.index = 1, 0


def global_batch(n: int) -> int:
    """The size of the global batch if this process has n rows of it."""
    return n * shards.count


def rows(size: int, count: int, index: int) -> slice:
    """The rows of a global batch of this size that belong to process `index`."""
    n = size // count
    return slice(index * n, index * n + n)


def local_shard(x: Tensor, dim: int = 0) -> Tensor:
    """The rows of this process in a tensor of the global batch; `dim` is the dimension of rows."""
    n = x.shape[dim] // shards.count
    return x if shards.count == 1 else x.narrow(dim, shards.index * n, n)


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum over all processes, of the same shape; differentiable."""
    return x if shards.count == 1 else summed(x)


def all_gather(x: Tensor) -> Tensor:
    """The rows of all processes in the order of the global batch: (n, …) → (global_batch(n), …); differentiable."""
    if shards.count == 1:
        return x
    before, after = shards.index * len(x), (shards.count - shards.index - 1) * len(x)
    return summed(pad(x, (0, 0) * (x.dim() - 1) + (before, after)))


def all_reduce_mean(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The mean over all processes of each tensor, all of one dtype, in one exchange; differentiable."""
    if shards.count == 1:
        return tensors
    flat = summed(torch.cat([tensor.flatten() for tensor in tensors])) / shards.count
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors)]


# A custom operator, so that torch.compile does not trace into it, and can differentiate it repeatedly.
@torch.library.custom_op("gan_runner::summed", mutates_args=(), schema="(Tensor x) -> Tensor")
def summed(x: Tensor) -> Tensor:
    """The sum over all processes.

    Raises:
        ProcessLost: one of them does not respond.
    """
    result = x.clone(memory_format=torch.contiguous_format)
    try:
        torch.distributed.all_reduce(result)
    except RuntimeError as error:
        raise ProcessLost from error
    return result


@summed.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


summed.register_autograd(lambda context, gradient: summed(gradient))
