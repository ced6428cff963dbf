"""One global batch whose rows are divided among processes that together compute what a single process would.

Every process has the same weights, draws the same random numbers, those of the global batch, and keeps its own rows
of both. The objective is the mean over processes of what each of them descends. So a mean over samples needs nothing;
what couples samples is computed from the rows of all processes (`all_gather`), by every process; and gradients are
averaged at the end (`all_reduce_mean`). All of it is made of one operation, the sum over processes (`all_reduce_sum`),
which is its own adjoint, and so can be differentiated any number of times.

A batch is divided only inside `sharded`, around a training step. Everywhere else, and with a single process, all of
this is the identity: networks are initialised, and samples are evaluated, as a whole.
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
    """Among how many processes a batch is divided, and which of them this is."""

    count: int = 1
    index: int = 0


shards = Shards()


@contextmanager
def sharded(count: int, index: int) -> Iterator[None]:
    """Inside, the rows of a batch are divided among `count` processes, of which this is number `index`."""
    shards.count, shards.index = count, index
    try:
        yield
    finally:
        shards.count, shards.index = 1, 0


def global_batch(n: int) -> int:
    """The size of the global batch, of which this process has n rows."""
    return n * shards.count


def rows(size: int, count: int, index: int) -> slice:
    """Which rows of a global batch of this size are those of process `index`."""
    n = size // count
    return slice(index * n, index * n + n)


def local_shard(x: Tensor, dim: int = 0) -> Tensor:
    """Of a tensor of the global batch, whose rows lie in dimension `dim`, the rows of this process."""
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
    """The mean over all processes of each of some tensors of one type, in one exchange; differentiable."""
    if shards.count == 1:
        return tensors
    flat = summed(torch.cat([tensor.flatten() for tensor in tensors])) / shards.count
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors)]


# A custom operator, so that torch.compile keeps it as it is, and differentiates it as often as needed.
@torch.library.custom_op("gan_runner::summed", mutates_args=(), schema="(Tensor x) -> Tensor")
def summed(x: Tensor) -> Tensor:
    """The sum over all processes.

    Raises:
        ProcessLost: one of them does not answer.
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
