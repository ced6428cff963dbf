"""Sentences as characters: how they are written in numbers, and how images come with one of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from gan_runner.datasets.base import ALL, Data, Order, Split, derive_seed, rng
from gan_runner.datasets.images import CHUNK, ImageDataset, Item, ResidentImages, Source, StreamedImages
from gan_runner.datasets.labels import Labels
from gan_runner.turn import Batch

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
"""The seventy characters of Zhang et al. 2015 (arXiv:1509.01626, Section 2.2), the last of them as in Reed et al. 2016.

The hyphen is there twice, as published; the second place counts, and the first stays unused. A code is a place
counted from 1; 0 is what follows the sentence, and any character beyond the alphabet.
"""

LENGTH = 201
"""Characters of a caption (Reed et al. 2016, arXiv:1605.05395, Section 5)."""

AT_ONCE = 10_000  # sentences encoded at a time
ASCII = 128


def table() -> np.ndarray:
    """The code of each ASCII character, and behind them the 0 of all others: (129,)."""
    codes = np.zeros(ASCII + 1, dtype=np.uint8)
    for place, character in enumerate(ALPHABET, 1):
        codes[ord(character)] = place
    return codes


CODES = table()


def encode(text: str, length: int = LENGTH) -> Tensor:
    """A sentence as character codes (length,) uint8, in lower case; what is too long is cut.

    Raises:
        ValueError: no character of it is in the alphabet, the space aside.
    """
    return encode_all([text], length)[0]


def encode_all(texts: Sequence[str], length: int = LENGTH) -> Tensor:
    """Sentences as character codes (n, length) uint8.

    Raises:
        ValueError: one of them has no character in the alphabet, the space aside.
    """
    codes = np.empty((len(texts), length), dtype=np.uint8)
    for start in range(0, len(texts), AT_ONCE):
        some = [" ".join(text.lower().split())[:length].ljust(length, "\0") for text in texts[start : start + AT_ONCE]]
        points = np.frombuffer("".join(some).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        codes[start : start + AT_ONCE] = CODES[points.clip(max=ASCII)].reshape(-1, length)
    said = ((codes > 0) & (codes != CODES[ord(" ")])).any(1)
    if not said.all():
        raise ValueError(f"the sentence {texts[int(said.argmin())]!r} has no character of the alphabet {ALPHABET!r}")
    return torch.from_numpy(codes)


def left_out(text: str, length: int = LENGTH) -> str:
    """What of a sentence `encode` passes over, in words for people; empty if nothing."""
    said = " ".join(text.lower().split())
    unknown = [repr(character) for character in dict.fromkeys(said[:length]) if character not in ALPHABET]
    parts = [f"characters beyond its alphabet: {', '.join(unknown)}"] if unknown else []
    parts += [f"all that follows character {length}: {said[length:]!r}"] if len(said) > length else []
    return "; and ".join(parts)


def decode(codes: Tensor) -> str:
    """The sentence of character codes (length,), without what was beyond the alphabet."""
    return "".join(ALPHABET[code - 1] for code in codes.tolist() if code)


@dataclass(frozen=True)
class Captions:
    """Sentences about images, so many as there are about each.

    Args:
        codes: (m, length) uint8, those of the first image first.
        first: (n + 1,) where the sentences of each image begin, and the end.
        labels: (m, …) what each says, in the way of the dataset's labels; of a group of which it says nothing,
            nothing is there.
    """

    codes: Tensor
    first: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.first) - 1

    def only(self, indices: Tensor) -> Captions:
        """Those about some of the images, in the order of their indices (k,)."""
        chosen = indices.sort().values
        counts = (self.first[1:] - self.first[:-1])[chosen]
        first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rows = torch.repeat_interleave(self.first[chosen] - first[:-1], counts) + torch.arange(int(first[-1]))
        return Captions(self.codes[rows], first, self.labels[rows])

    def rows(self, images: Tensor, chance: Tensor) -> Tensor:
        """Which sentences (k,) images (k,) get by a chance (k,) in [0, 1)."""
        first, count = self.first[images], self.first[images + 1] - self.first[images]
        return first + (chance * count).long()

    def fixed_choice(self, n: int, labels: Labels | None) -> tuple[Tensor, Tensor]:
        """The same n sentences every time, of one image after the other: (n, length) codes, (n, dim) what they say."""
        images = Order(len(self), seed=0).indices(0, n)
        rows = self.rows(images, torch.rand(n, generator=rng(-1, len(self)), dtype=torch.float64))
        said = torch.zeros(n, 0) if labels is None else labels.vectors(self.labels[rows])
        return self.codes[rows].long(), said


def collect_captions(sentences: Sequence[Sequence[str]], labels: Tensor, length: int) -> Captions:
    """Sentences of each image as captions, which say what the image is labelled with (n, …)."""
    counts = torch.tensor([len(some) for some in sentences])
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    codes = encode_all([text for some in sentences for text in some], length)
    return Captions(codes, first, labels.repeat_interleave(counts, 0))


class CaptionedSource(Source):
    """Images with captions."""

    def __init__(self, images: Source, captions: Captions):
        super().__init__(images.name, images, images.size, images.channels)
        self.images = images
        self.captions = captions

    def __getitem__(self, index: int) -> Item:
        return self.images[index]

    def only(self, indices: Tensor) -> CaptionedSource:
        """Some of the images, in the order of their indices (k,)."""
        return CaptionedSource(self.images.only(indices), self.captions.only(indices))

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Images (k, c, h, w) and labels (k, …) in order, `size` at a time."""
        return self.images.chunks(workers, size)


@dataclass(frozen=True, kw_only=True)
class CaptionedImageDataset(ImageDataset):
    """Images that come with sentences: subclasses say where from.

    Args:
        caption_length: characters of a caption; what is longer is cut.
    """

    caption_length: int = LENGTH

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.caption_length < 1:
            raise ValueError(f"dataset.caption_length must be positive, not {self.caption_length}")

    def captioned(self, split: Split) -> CaptionedSource:
        """The images of a split with their captions, none decoded."""
        source = self.of(split)
        assert isinstance(source, CaptionedSource)
        return source

    def load(self, device: torch.device, split: Split = "train") -> CaptionedImages:
        """Bring the captions to the device, and the images, or get ready to stream them."""
        source = self.captioned(split)
        return CaptionedImages(self.held(source, device), source.captions, self.labels, device)

    def captions(self, n: int, split: Split = "train") -> tuple[Tensor, Tensor]:
        """The same n captions of a split every time, without its images.

        Returns:
            Codes (n, length) and what they say (n, dim): the vectors of `labels`, where a group of attributes without
            a 1 is one of which the sentence says nothing.

        Raises:
            DataError: the files that hold them are missing or broken.
        """
        return self.captioned(split).captions.fixed_choice(n, self.labels)


@runtime_checkable
class HasCaptions(Protocol):
    """Data with sentences."""

    def captions(self, n: int) -> tuple[Tensor, Tensor]:
        """Always the same n captions: character codes (n, length), and what they say (n, dim)."""


class CaptionedImages(Data):
    """Images that come with one of their captions, another at each visit.

    Args:
        data: the images.
        captions: of each.
        labels: what labels mean.
        device: where captions are held.
    """

    def __init__(
        self, data: ResidentImages | StreamedImages, captions: Captions, labels: Labels | None, device: torch.device
    ):
        self.data = data
        self.sentences = captions
        self.labels = labels
        self.codes = captions.codes.to(device)

    def __len__(self) -> int:
        return len(self.data)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """All batches from number `start` on; `caption` (size, length) are character codes."""
        order = Order(len(self), seed)
        drawing = derive_seed(seed, -1)  # apart from the numbers that mirror images
        for number, batch in enumerate(self.data.stream(start, size, seed, rows), start):
            chance = torch.rand(size, generator=rng(drawing, number), dtype=torch.float64)[rows]
            chosen = self.sentences.rows(order.indices(number, size)[rows], chance)
            yield {**batch, "caption": self.codes[chosen.to(self.codes.device, non_blocking=True)].long()}

    def captions(self, n: int) -> tuple[Tensor, Tensor]:
        """The same n captions every time, on the device: codes (n, length), and what they say (n, dim)."""
        codes, said = self.sentences.fixed_choice(n, self.labels)
        return codes.to(self.codes.device), said.to(self.codes.device)

    def chunks(self, n: int) -> Iterator[Tensor]:
        """The first n images of a fixed permutation, so many at a time."""
        return self.data.chunks(n)

    def first(self, n: int) -> Batch:
        """The same with their labels, and a caption of each that is always the same."""
        batch = self.data.first(n)
        return {**batch, "caption": self.captions(len(batch["data"]))[0]}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """The different labels (k, …) of the images, and the share that has each (k,)."""
        return self.data.label_frequencies()

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """All images once, in order, never mirrored, without captions, `size` at a time."""
        return self.data.epoch(size)

    def describe(self) -> str:
        """What the images are, and how many captions they have."""
        return f"{self.data.describe()}; {len(self.codes):,} captions"
