"""Stacked digits: images of three digits, one per colour channel, with 1,000 known modes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from gan_runner.datasets.base import ALL, Data, Split, rng
from gan_runner.datasets.images import CHUNK, ImageDataset, ResidentImages, normalised
from gan_runner.datasets.labels import Classes
from gan_runner.errors import DataError
from gan_runner.turn import Batch

CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class StackedDigits:
    """Three random digits, one per colour channel (Metz et al. 2017, arXiv:1611.02163, Section 3.3.1).

    Digits are stacked at random for each batch. A mode is a number from 0 to 999; the red digit is the hundreds.

    Args:
        digits: grey, labelled, resident images of digits.
        root: folder of the digits.
        download: whether to download the digits.

    Raises:
        ValueError: the digits are not grey or not resident.
    """

    digits: ImageDataset
    root: str = ""
    download: bool = False

    bounded = True

    def __post_init__(self) -> None:
        if self.digits.channels != 1 or self.digits.resident is not True:
            raise ValueError("dataset.digits must be grey and resident: set channels=1 and resident=true there")

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, side, side)."""
        return (3, *self.digits.shape[1:])

    @property
    def labels(self) -> Classes:
        """The modes, named by their three digits."""
        return Classes(tuple(f"{mode:03}" for mode in range(CLASSES**3)))

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits of the digits."""
        return self.digits.splits

    def load(self, device: torch.device, split: Split = "train") -> StackedImages:
        """Read the digits."""
        data = self.digits.load(device, split)
        assert isinstance(data, ResidentImages)
        if data.labels.dim() != 1 or not 0 <= int(data.labels.min()) <= int(data.labels.max()) < CLASSES:
            raise DataError(
                f"{data.name} is not labelled 0 to 9; set dataset.digits to a dataset of digits, such as mnist"
            )
        return StackedImages(data, split)

    def split_channels(self, images: Tensor) -> Tensor:
        """Return the digits (3n, 1, h, w) of images (n, 3, h, w)."""
        return images.flatten(0, 1).unsqueeze(1)

    def mode(self, labels: Tensor) -> Tensor:
        """Return the modes (n,) of labels of digits (3n,)."""
        return join_digits(labels.view(-1, 3))


def join_digits(digits: Tensor) -> Tensor:
    """Return the numbers (n,) of three digits (n, 3); a sum, since CUDA has no matrix product of integers."""
    return (digits * torch.tensor([100, 10, 1], device=digits.device)).sum(1)


class StackedImages(Data):
    """Random stacks of digits that are resident on the device."""

    def __init__(self, digits: ResidentImages, split: Split):
        self.digits = digits
        self.split = split
        self.digest = digits.digest

    def __len__(self) -> int:
        return len(self.digits)

    def draw(self, n: int, generator: torch.Generator) -> Batch:
        """Draw n stacks with their modes."""
        chosen = torch.randint(len(self.digits.images), (n, 3), generator=generator).to(self.digits.images.device)
        labels = join_digits(self.digits.labels[chosen])
        return {"data": normalised(self.digits.images[chosen].squeeze(2)), "label": labels}

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from number `start` on."""
        for number in count(start):
            yield {name: value[rows] for name, value in self.draw(size, rng(seed, number)).items()}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield a fixed choice of n stacks in chunks (k, 3, h, w)."""
        generator = rng(-1, 0)
        yield from (self.draw(min(CHUNK, n - i), generator)["data"] for i in range(0, n, CHUNK))

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n stacks with their modes."""
        generator = rng(-1, 0)
        batches = [self.draw(min(CHUNK, n - i), generator) for i in range(0, n, CHUNK)]
        return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

    def mode_weights(self) -> Tensor:
        """Return the probabilities (1000,) of the modes: products of the digits' frequencies."""
        p = torch.bincount(self.digits.labels, minlength=CLASSES).double() / len(self.digits.labels)
        return torch.einsum("i,j,k->ijk", p, p, p).flatten()

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return all modes (1000,) and their probabilities."""
        probabilities = self.mode_weights()
        return torch.arange(len(probabilities), device=probabilities.device), probabilities

    def describe(self) -> str:
        """Describe the data."""
        return f"random stacks of three digits from {self.digits.describe()}"
