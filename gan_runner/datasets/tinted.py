"""Grey images in colours: what is seen and its colour are independent of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_runner.datasets.base import Split, rng
from gan_runner.datasets.images import CHUNK, ImageDataset, Item, Source
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.errors import DataError

COLOURS = {
    "red": (255, 0, 0),
    "orange": (255, 135, 0),
    "yellow": (255, 255, 0),
    "green": (0, 190, 0),
    "cyan": (0, 255, 255),
    "blue": (40, 70, 255),
    "purple": (150, 0, 230),
    "pink": (255, 130, 190),
    "brown": (140, 75, 25),
    "white": (255, 255, 255),
}
"""Red, green and blue of each, from 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class TintedDigits(ImageDataset):
    """Digits, each in one of ten colours on black; its attributes are which digit it is, and which colour.

    Each image has one colour for ever, drawn uniformly.

    Args:
        digits: grey images with classes, of the same size.
        seed: fixes the colours.
        root: where the digits are looked for.
        download: whether they may be fetched.

    Raises:
        ValueError: they are not grey, of another size, without classes, or hold out images themselves.
    """

    digits: ImageDataset
    seed: int = 0
    root: str = ""
    download: bool = False
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.digits.channels != 1 or not isinstance(self.digits.labels, Classes):
            raise ValueError("dataset.digits must be grey and have classes: set channels=1 and classes there")
        if self.channels != 3:
            raise ValueError("dataset.channels must be 3: colours need three")
        if self.digits.image_size != self.image_size:
            raise ValueError(
                f"dataset.digits.image_size={self.digits.image_size} must be dataset.image_size={self.image_size}"
            )
        if self.digits.held_out:
            raise ValueError("dataset.digits.held_out must be 0; set dataset.held_out")

    @property
    def labels(self) -> Attributes:
        """Which digit, and which colour."""
        assert isinstance(self.digits.labels, Classes)
        digits, colours = self.digits.labels.names, tuple(COLOURS)
        return Attributes(digits + colours, (digits, colours))

    @property
    def has_test(self) -> bool:
        """Whether the digits have images for testing."""
        return self.digits.has_test

    def source(self) -> Source:
        """Those for training."""
        return self.tinted(self.digits.source(), "train")

    def test_source(self) -> Source:
        """Those for testing."""
        return self.tinted(self.digits.test_source(), "test")

    def tinted(self, grey: Source, split: Split) -> Source:
        """Grey images with a colour drawn for each."""
        generator = rng(self.seed, int(split == "test"))
        colours = torch.randint(len(COLOURS), (len(grey),), generator=generator)
        return TintedSource(grey, colours, self.labels.dim - len(COLOURS))


class TintedSource(Source):
    """Grey images, each to be read in its colour.

    Args:
        grey: with classes for labels.
        colours: of each: (n,) places in `COLOURS`.
        classes: how many there are.
    """

    def __init__(self, grey: Source, colours: Tensor, classes: int):
        super().__init__(f"{grey.name} in colours", grey, grey.size, 3)
        self.grey = grey
        self.colours = colours
        self.classes = classes

    def __getitem__(self, index: int) -> Item:
        image, label = self.grey[index]
        image, label = self.tint(image[None], label[None], self.colours[index][None])
        return image[0], label[0]

    def only(self, indices: Tensor) -> TintedSource:
        """Some of the images, in the order of their indices (k,)."""
        return TintedSource(self.grey.only(indices), self.colours[indices.sort().values], self.classes)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Images (k, 3, h, w) and labels (k, classes + colours) in order, `size` at a time."""
        for (images, labels), colours in zip(self.grey.chunks(workers, size), self.colours.split(size)):
            yield self.tint(images, labels, colours)

    def tint(self, images: Tensor, labels: Tensor, colours: Tensor) -> Item:
        """Grey (n, 1, h, w) times colour (n, 3), rounded; with both labels one-hot: (n, classes + colours).

        Raises:
            DataError: a label is none of the classes.
        """
        if not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise DataError(f"{self.grey.name} has labels beyond 0 to {self.classes - 1}; set dataset.digits.classes")
        palette = torch.tensor(list(COLOURS.values()), dtype=torch.int32)
        tinted = (images.int() * palette[colours].view(-1, 3, 1, 1) + 127) // 255
        attributes = torch.cat([one_hot(labels, self.classes), one_hot(colours, len(COLOURS))], 1)
        return tinted.to(torch.uint8), attributes
