"""What a dataset is, and the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_runner.datasets.labels import Labels
from gan_runner.turn import Batch

ALL = slice(None)
"""Every row of a batch."""

Split = Literal["train", "validation", "test"]
"""What is trained on; what choices are made by; what figures are measured on."""


class Data(Protocol):
    """Data at hand: it can be drawn from."""

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Batches from number `start` on, without end, on the device: `data` (size, *shape), and what it has besides.

        That is `label`, as the dataset's `labels` say, and `caption` (size, length), the character codes of a sentence.
        Of each, only these rows: with others they are the same batch.
        """

    def chunks(self, n: int) -> Iterator[Tensor]:
        """A fixed choice of n samples, some (k, *shape) at a time, on the device, to compare generated ones with."""

    def real(self, n: int) -> Tensor:
        """The same choice in one piece: (n, *shape)."""
        return torch.cat(list(self.chunks(n)))

    def first(self, n: int) -> Batch:
        """The same choice with all that belongs to it: labels, captions."""

    def describe(self) -> str:
        """How much of what, and where it is held."""


class Dataset(Protocol):
    """A recipe for data: known before any file is read.

    Attributes:
        shape: of a sample, (channels, side, side) or (dim,).
        bounded: whether all values are in [−1, 1].
    """

    shape: tuple[int, ...]
    bounded: bool

    @property
    def labels(self) -> Labels | None:
        """What `batch["label"]` means; None where it means nothing that could be asked for.

        It is known where there are no files, as beside a checkpoint.
        """

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that it has."""

    def load(self, device: torch.device, split: Split = "train") -> Data:
        """Read the files of one of its splits.

        Raises:
            DataError: if they are missing or broken, saying where they were looked for and what to do.
        """


@runtime_checkable
class HasDensity(Protocol):
    """A distribution whose density is known: of a dataset, or of a generator."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) in nats of points (n, *shape)."""


@runtime_checkable
class HasModes(Protocol):
    """A dataset that is a mixture of isotropic Gaussians of one width."""

    @property
    def modes(self) -> Tensor | None:
        """Means (k, dim) of the components where each is a mode of its own, else None."""

    @property
    def mode_std(self) -> float:
        """σ of every component."""

    def weights(self) -> Tensor:
        """Probabilities (k,) of the components."""


def modes_of(dataset: object) -> Tensor | None:
    """The modes (k, dim) of a dataset, if it has any that are known."""
    return dataset.modes if isinstance(dataset, HasModes) else None


@runtime_checkable
class Finite(Protocol):
    """Data that has an end."""

    def epoch(self, size: int = ...) -> Iterator[Batch]:
        """All of it once, in order, with its labels, `size` at a time."""


@runtime_checkable
class HasLabelFrequencies(Protocol):
    """Data of which it is known how often each label occurs."""

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Different labels (k, …) and the share (k,) of each."""


def evaluation_split(splits: Sequence[Split], selecting: bool = False) -> Split:
    """The one of these that judges what was trained on `train`: for testing, else for validation, else itself.

    Where its figures choose among checkpoints or options, that for validation goes first: the other stays unseen.
    """
    order: tuple[Split, ...] = ("validation", "test") if selecting else ("test", "validation")
    return next((split for split in order if split in splits), "train")


class Batches:
    """An endless iterator over the batches of some data, which knows how many it has given out.

    It also knows for how long it was waited for: `waited_s`, seconds.

    Args:
        data: where they come from.
        size: samples a batch.
        seed: fixes the order.
        drawn: how many batches were given out before, in a run that goes on.
        rows: which of each batch are given out.
    """

    def __init__(self, data: Data, size: int, seed: int, drawn: int = 0, rows: slice = ALL):
        self.size = size
        self.drawn = drawn
        self.waited_s = 0.0
        self.stream = data.stream(drawn, size, seed, rows)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        self.drawn += 1
        began = perf_counter()
        batch = next(self.stream)
        self.waited_s += perf_counter() - began
        return batch


def derive_seed(seed: int, number: int) -> int:
    """A well-spread 63-bit seed for item `number` of the stream `seed` (splitmix64, Steele et al. 2014)."""
    state = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & (2**64 - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = ((state ^ (state >> shift)) * factor) & (2**64 - 1)
    return (state ^ (state >> 31)) >> 1


def rng(seed: int, number: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Random numbers for item `number` of a stream."""
    return torch.Generator(device).manual_seed(derive_seed(seed, number))


class Order:
    """Which samples are in batch `number`: epochs of fresh permutations, one after the other.

    Batches run over the ends of epochs, so every batch is full, however few samples there are.

    Args:
        length: how many samples there are.
        seed: fixes the permutations.
    """

    def __init__(self, length: int, seed: int):
        self.length = length
        self.seed = seed
        self.epoch = -1
        self.permutation = torch.empty(0, dtype=torch.long)

    def indices(self, number: int, size: int) -> Tensor:
        """The indices (size,) of batch `number`."""
        position, end = number * size, (number + 1) * size
        parts = []
        while position < end:
            epoch, offset = divmod(position, self.length)
            if epoch != self.epoch:
                self.epoch = epoch
                self.permutation = torch.randperm(self.length, generator=rng(self.seed, epoch))
            part = self.permutation[offset : offset + end - position]
            parts.append(part)
            position += len(part)
        return torch.cat(parts)
