"""The interfaces of datasets and loaded data, and the order in which samples are read."""

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
"""`train` is for training, `validation` for model selection, `test` for the reported values."""


class Data(Protocol):
    """Loaded data, from which batches are drawn."""

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches on the device from number `start` on, without end.

        A batch holds `data` (size, *shape). Some data adds `label`, which the dataset's `labels` explain, and `caption`
        (size, length), the character codes of a sentence. Only the given rows of each batch are yielded; a process of a
        distributed run reads its own rows of the same batch.
        """

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield a fixed choice of n samples in chunks (k, *shape) on the device, to compare fakes with."""

    def real(self, n: int) -> Tensor:
        """Return the fixed choice of n samples as one tensor (n, *shape)."""
        return torch.cat(list(self.chunks(n)))

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n samples as a batch, with labels and captions."""

    def describe(self) -> str:
        """Describe the number and kind of samples, and the device that holds them."""


class Dataset(Protocol):
    """A description of data, complete before any file is read.

    Attributes:
        shape: shape of a sample, (channels, side, side) or (dim,).
        bounded: whether all values are in [−1, 1].
    """

    shape: tuple[int, ...]
    bounded: bool

    @property
    def labels(self) -> Labels | None:
        """The meaning of `batch["label"]`; None if samples have no labels that could be a condition.

        It is known without the files, so that samples can be drawn from a checkpoint alone.
        """

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that the dataset has."""

    def load(self, device: torch.device, split: Split = "train") -> Data:
        """Read the files of a split.

        Raises:
            DataError: a file is missing or broken. The message names the place and what to do.
        """


@runtime_checkable
class HasDensity(Protocol):
    """A dataset or generator whose density is known."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density (n,) of points (n, *shape) in nats."""


@runtime_checkable
class HasModes(Protocol):
    """A dataset that is a mixture of isotropic Gaussians with the same σ."""

    @property
    def modes(self) -> Tensor | None:
        """Means (k, dim) of the components if each component is a separate mode, else None."""

    @property
    def mode_std(self) -> float:
        """σ of every component."""

    def weights(self) -> Tensor:
        """Probabilities (k,) of the components."""


def modes_of(dataset: object) -> Tensor | None:
    """Return the known modes (k, dim) of a dataset, or None."""
    return dataset.modes if isinstance(dataset, HasModes) else None


@runtime_checkable
class Finite(Protocol):
    """Data with a finite number of samples."""

    def epoch(self, size: int = ...) -> Iterator[Batch]:
        """Yield every sample once, in order, with its label, in batches of `size`."""


@runtime_checkable
class HasDigest(Protocol):
    """Data that was read from files."""

    @property
    def digest(self) -> str:
        """Sixteen hex digits that identify the samples, wherever their files lie."""

    def __len__(self) -> int:
        """Return the number of samples."""


@runtime_checkable
class HasLabelFrequencies(Protocol):
    """Data whose label frequencies are known."""

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return the distinct labels (k, …) and their frequencies (k,), which sum to one."""


def evaluation_split(splits: Sequence[Split], selecting: bool = False) -> Split:
    """Return the split that a trained model is evaluated on: test, else validation, else train.

    If the values select a checkpoint or an option, validation comes first, so that the test split stays unseen.
    """
    order: tuple[Split, ...] = ("validation", "test") if selecting else ("test", "validation")
    return next((split for split in order if split in splits), "train")


class Batches:
    """An endless iterator over batches, which counts them and the seconds spent waiting for data (`waited_s`).

    Args:
        data: source of the batches.
        size: batch size.
        seed: fixes the order.
        drawn: number of batches that a resumed run has drawn already.
        rows: rows of each batch to yield.
        seen: number of samples that a resumed run has drawn already; None for `drawn` batches of this size.
    """

    def __init__(self, data: Data, size: int, seed: int, drawn: int = 0, rows: slice = ALL, seen: int | None = None):
        self.size = size
        self.drawn = drawn
        self.seen = drawn * size if seen is None else seen
        self.waited_s = 0.0
        self.stream = data.stream(drawn, size, seed, rows)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        self.drawn += 1
        self.seen += self.size
        began = perf_counter()
        batch = next(self.stream)
        self.waited_s += perf_counter() - began
        return batch


def derive_seed(seed: int, number: int) -> int:
    """Return a well-mixed 63-bit seed for item `number` of the stream `seed` (splitmix64, Steele et al. 2014)."""
    state = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & (2**64 - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = ((state ^ (state >> shift)) * factor) & (2**64 - 1)
    return (state ^ (state >> 31)) >> 1


def independent(rng: torch.Generator, number: int = 0) -> torch.Generator:
    """Return a generator that depends on the seed of another one, and not on what has been drawn from that."""
    return torch.Generator(rng.device).manual_seed(derive_seed(rng.initial_seed(), number))


def rng(seed: int, number: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the random number generator for item `number` of the stream `seed`."""
    return torch.Generator(device).manual_seed(derive_seed(seed, number))


class Order:
    """The samples of each batch: every epoch is a fresh permutation.

    A batch may cross the end of an epoch, so every batch is full even if there are few samples.

    Args:
        length: number of samples.
        seed: fixes the permutations.
    """

    def __init__(self, length: int, seed: int):
        self.length = length
        self.seed = seed
        self.epoch = -1
        self.permutation = torch.empty(0, dtype=torch.long)

    def indices(self, number: int, size: int) -> Tensor:
        """Return the indices (size,) of the samples in batch `number`."""
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
