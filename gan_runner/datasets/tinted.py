"""Digits in random colours, so that digit and colour are independent attributes."""

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
from gan_runner.tools.cache import key_of

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
"""RGB values from 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class TintedDigits(ImageDataset):
    """Digits in one of ten colours on black. The attributes are the digit and the colour.

    The colour of each image is drawn uniformly, once.

    Args:
        digits: grey images with classes, of the same size.
        seed: fixes the colours.
        root: folder of the digits.
        download: whether to download the digits.

    Raises:
        ValueError: the digits are not grey, have no classes, have another size, or hold out images themselves.
    """

    digits: ImageDataset
    seed: int = 0
    root: str = ""
    download: bool = False
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.digits.channels != 1 or not isinstance(self.digits.labels, Classes):
            raise ValueError("dataset.digits must be grey and have classes; set dataset.digits.channels=1 and classes")
        if self.channels != 3:
            raise ValueError("dataset.channels must be 3, since the digits are coloured")
        if self.digits.image_size != self.image_size:
            raise ValueError(
                f"dataset.digits.image_size={self.digits.image_size} must be dataset.image_size={self.image_size}"
            )
        if self.digits.held_out:
            raise ValueError("dataset.digits.held_out must be 0; set dataset.held_out")

    @property
    def labels(self) -> Attributes:
        """The digit and the colour."""
        assert isinstance(self.digits.labels, Classes)
        digits, colours = self.digits.labels.names, tuple(COLOURS)
        return Attributes(digits + colours, (digits, colours))

    @property
    def has_test(self) -> bool:
        """Whether the digits have a test split."""
        return self.digits.has_test

    def source(self) -> Source:
        """Open the images for training and validation."""
        return self.assign_colours(self.digits.source(), "train")

    def test_source(self) -> Source:
        """Open the images of the test split."""
        return self.assign_colours(self.digits.test_source(), "test")

    def assign_colours(self, grey: Source, split: Split) -> Source:
        """Draw a colour for each grey image."""
        generator = rng(self.seed, int(split == "test"))
        colours = torch.randint(len(COLOURS), (len(grey),), generator=generator)
        return TintedSource(grey, colours, self.labels.dim - len(COLOURS))


class TintedSource(Source):
    """Grey images that are coloured when they are read.

    Args:
        grey: the images, labelled with classes.
        colours: index of each image's colour in `COLOURS` (n,).
        classes: number of classes.
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

    def digest(self) -> str:
        """Return sixteen hex digits that identify the digits and their colours."""
        return key_of([self.grey.digest(), self.colours.numpy().tobytes()])

    def only(self, indices: Tensor) -> TintedSource:
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        return TintedSource(self.grey.only(indices), self.colours[indices.sort().values], self.classes)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Yield images (k, 3, h, w) and labels (k, classes + colours) in order, in chunks of `size`."""
        for (images, labels), colours in zip(self.grey.chunks(workers, size), self.colours.split(size)):
            yield self.tint(images, labels, colours)

    def tint(self, images: Tensor, labels: Tensor, colours: Tensor) -> Item:
        """Multiply grey images (n, 1, h, w) by their colours; return them with one-hot labels (n, classes + colours).

        Raises:
            DataError: a label is not one of the classes.
        """
        if not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise DataError(
                f"{self.grey.name} has labels outside of 0 to {self.classes - 1}; set dataset.digits.classes"
            )
        palette = torch.tensor(list(COLOURS.values()), dtype=torch.int32)
        tinted = (images.int() * palette[colours].view(-1, 3, 1, 1) + 127) // 255
        attributes = torch.cat([one_hot(labels, self.classes), one_hot(colours, len(COLOURS))], 1)
        return tinted.to(torch.uint8), attributes
