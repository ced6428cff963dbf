"""One batch, its rows shared out among processes that compute what one process would.

Every process has the same weights, draws the same random numbers, those of the whole batch, and keeps its own rows of
both. The objective is the mean over the processes of what each of them descends. So a mean over samples needs
nothing; what ties samples together is computed on the rows of all (`gather`), on every process; and gradients are
averaged at the end (`average`). All of it is made of one operation, the sum over processes (`total`), which is its own
adjoint: as a map between the values of all processes it is symmetric. So it is differentiable as often as one likes.

Rows are shared out only inside `sharded`, around a training step. Everywhere else, and with one process, all of this
is the identity: networks are initialised, and samples are judged, as a whole.
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
class Shares:
    """Among how many processes rows are shared out, and which of them this is."""

    count: int = 1
    index: int = 0


present = Shares()


@contextmanager
def sharded(count: int, index: int) -> Iterator[None]:
    """Inside, the rows of a batch are shared out among `count` processes, of which this is number `index`."""
    present.count, present.index = count, index
    try:
        yield
    finally:
        present.count, present.index = 1, 0


def whole(n: int) -> int:
    """How many rows the whole batch has, where this process has n."""
    return n * present.count


def rows(size: int, count: int, index: int) -> slice:
    """Which rows of a whole batch are those of process `index`."""
    n = size // count
    return slice(index * n, index * n + n)


def share(x: Tensor, dim: int = 0) -> Tensor:
    """Of something drawn for the whole batch, the rows of this process; they may lie in any dimension."""
    n = x.shape[dim] // present.count
    return x if present.count == 1 else x.narrow(dim, present.index * n, n)


def total(x: Tensor) -> Tensor:
    """The sum over all processes, of the same shape; differentiable."""
    return x if present.count == 1 else summed(x)


def gather(x: Tensor) -> Tensor:
    """The rows of all processes in the order of the whole batch: (n, …) → (whole(n), …); differentiable."""
    if present.count == 1:
        return x
    before, after = present.index * len(x), (present.count - present.index - 1) * len(x)
    return summed(pad(x, (0, 0) * (x.dim() - 1) + (before, after)))


def average(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The mean over all processes of each of some tensors of one type, in one exchange; differentiable."""
    if present.count == 1:
        return tensors
    flat = summed(torch.cat([tensor.flatten() for tensor in tensors])) / present.count
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors)]


# An operation of its own, so that a compiled move takes it as it is, and differentiates it as often as it must.
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
