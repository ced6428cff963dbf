"""Captions as character codes, and images with captions."""

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
from gan_runner.tools.cache import key_of
from gan_runner.turn import Batch

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
"""The 70 characters of Zhang et al. 2015 (arXiv:1509.01626, Section 2.2), and the space (Reed et al. 2016).

The hyphen occurs twice, as published; its code is the second position, and the first stays unused. A code is a position
counted from 1. Code 0 pads the end of a caption and stands for characters outside of the alphabet.
"""

LENGTH = 201
"""Characters of a caption (Reed et al. 2016, arXiv:1605.05395, Section 5)."""

ENCODE_CHUNK = 10_000  # sentences encoded at a time
ASCII = 128


def make_code_table() -> np.ndarray:
    """Return the code of each ASCII character, followed by a 0 for all other characters: (129,)."""
    codes = np.zeros(ASCII + 1, dtype=np.uint8)
    for code, character in enumerate(ALPHABET, 1):
        codes[ord(character)] = code
    return codes


CODES = make_code_table()


def encode(text: str, length: int = LENGTH) -> Tensor:
    """Encode a sentence as character codes (length,) uint8, in lower case; longer sentences are cut.

    Raises:
        ValueError: the sentence has no character of the alphabet except spaces.
    """
    return encode_all([text], length)[0]


def encode_all(texts: Sequence[str], length: int = LENGTH) -> Tensor:
    """Encode sentences as character codes (n, length) uint8.

    Raises:
        ValueError: a sentence has no character of the alphabet except spaces.
    """
    codes = np.empty((len(texts), length), dtype=np.uint8)
    for start in range(0, len(texts), ENCODE_CHUNK):
        some = [
            " ".join(text.lower().split())[:length].ljust(length, "\0") for text in texts[start : start + ENCODE_CHUNK]
        ]
        points = np.frombuffer("".join(some).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        codes[start : start + ENCODE_CHUNK] = CODES[points.clip(max=ASCII)].reshape(-1, length)
    readable = ((codes > 0) & (codes != CODES[ord(" ")])).any(1)
    if not readable.all():
        raise ValueError(
            f"the sentence {texts[int(readable.argmin())]!r} has no character of the alphabet {ALPHABET!r}"
        )
    return torch.from_numpy(codes)


def ignored_text(text: str, length: int = LENGTH) -> str:
    """Describe the parts of a sentence that `encode` ignores; empty if there are none."""
    sentence = " ".join(text.lower().split())
    unknown = [repr(character) for character in dict.fromkeys(sentence[:length]) if character not in ALPHABET]
    parts = [f"characters outside of its alphabet: {', '.join(unknown)}"] if unknown else []
    parts += [f"all text after character {length}: {sentence[length:]!r}"] if len(sentence) > length else []
    return "; and ".join(parts)


def decode(codes: Tensor) -> str:
    """Return the sentence of character codes (length,), without characters outside of the alphabet."""
    return "".join(ALPHABET[code - 1] for code in codes.tolist() if code)


@dataclass(frozen=True)
class Captions:
    """The captions of n images, any number per image.

    Args:
        codes: character codes (m, length) uint8, ordered by image.
        first: index of the first caption of each image, then m: (n + 1,).
        labels: what each caption mentions (m, …), encoded like the dataset's labels; a group of attributes that it does
            not mention is all zeros.
    """

    codes: Tensor
    first: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.first) - 1

    def only(self, indices: Tensor) -> Captions:
        """Return the captions of a subset of the images, ordered by index; `indices` are (k,)."""
        chosen = indices.sort().values
        counts = (self.first[1:] - self.first[:-1])[chosen]
        first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rows = torch.repeat_interleave(self.first[chosen] - first[:-1], counts) + torch.arange(int(first[-1]))
        return Captions(self.codes[rows], first, self.labels[rows])

    def rows(self, images: Tensor, chance: Tensor) -> Tensor:
        """Return the indices (k,) of a caption of each of the images (k,), chosen by random numbers (k,) in [0, 1)."""
        first, count = self.first[images], self.first[images + 1] - self.first[images]
        return first + (chance * count).long()

    def fixed_choice(self, n: int, labels: Labels | None) -> tuple[Tensor, Tensor]:
        """Return a fixed choice of n captions: codes (n, length) and the label vectors (n, dim) that they mention."""
        images = Order(len(self), seed=0).indices(0, n)
        rows = self.rows(images, torch.rand(n, generator=rng(-1, len(self)), dtype=torch.float64))
        mentioned = torch.zeros(n, 0) if labels is None else labels.vectors(self.labels[rows])
        return self.codes[rows].long(), mentioned


def collect_captions(sentences: Sequence[Sequence[str]], labels: Tensor, length: int) -> Captions:
    """Return the captions of n images whose sentences mention the labels (n, …) of their image."""
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

    def digest(self) -> str:
        """Return sixteen hex digits that identify the images and captions."""
        return key_of([self.images.digest(), self.captions.codes.numpy().tobytes()])

    def only(self, indices: Tensor) -> CaptionedSource:
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        return CaptionedSource(self.images.only(indices), self.captions.only(indices))

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Yield images (k, c, h, w) and labels (k, …) in order, in chunks of `size`."""
        return self.images.chunks(workers, size)


@dataclass(frozen=True, kw_only=True)
class CaptionedImageDataset(ImageDataset):
    """Images with captions. Subclasses define where they come from.

    Args:
        caption_length: characters per caption; longer captions are cut.
    """

    caption_length: int = LENGTH

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.caption_length < 1:
            raise ValueError(f"dataset.caption_length must be positive, not {self.caption_length}")

    def captioned(self, split: Split) -> CaptionedSource:
        """Open the images and captions of a split without decoding an image."""
        source = self.split_source(split)
        assert isinstance(source, CaptionedSource)
        return source

    def load(self, device: torch.device, split: Split = "train") -> CaptionedImages:
        """Load captions and images to the device, or prepare to stream the images."""
        source = self.captioned(split)
        return CaptionedImages(self.load_images(source, device), source.captions, self.labels, device)

    def captions(self, n: int, split: Split = "train") -> tuple[Tensor, Tensor]:
        """Return a fixed choice of n captions of a split, without images.

        Returns:
            Codes (n, length) and the label vectors (n, dim) that they mention. A group of attributes that a caption
            does not mention is all zeros.

        Raises:
            DataError: a file is missing or broken.
        """
        return self.captioned(split).captions.fixed_choice(n, self.labels)


@runtime_checkable
class HasCaptions(Protocol):
    """Data with captions."""

    def captions(self, n: int) -> tuple[Tensor, Tensor]:
        """Return a fixed choice of n captions: codes (n, length) and the label vectors (n, dim) that they mention."""


class CaptionedImages(Data):
    """Images with captions; each time an image is read, one of its captions is drawn.

    Args:
        data: the images.
        captions: the captions of each image.
        labels: the meaning of the labels.
        device: device that holds the captions.
    """

    def __init__(
        self, data: ResidentImages | StreamedImages, captions: Captions, labels: Labels | None, device: torch.device
    ):
        self.data = data
        self.all_captions = captions
        self.labels = labels
        self.codes = captions.codes.to(device)
        self.digest = data.digest

    def __len__(self) -> int:
        return len(self.data)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from number `start` on; `caption` (size, length) holds character codes."""
        order = Order(len(self), seed)
        caption_seed = derive_seed(seed, -1)  # independent of the numbers that mirror images
        for number, batch in enumerate(self.data.stream(start, size, seed, rows), start):
            chance = torch.rand(size, generator=rng(caption_seed, number), dtype=torch.float64)[rows]
            chosen = self.all_captions.rows(order.indices(number, size)[rows], chance)
            yield {**batch, "caption": self.codes[chosen.to(self.codes.device, non_blocking=True)].long()}

    def captions(self, n: int) -> tuple[Tensor, Tensor]:
        """Return a fixed choice of n captions on the device: codes (n, length) and what they mention (n, dim)."""
        codes, mentioned = self.all_captions.fixed_choice(n, self.labels)
        return codes.to(self.codes.device), mentioned.to(self.codes.device)

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield the fixed choice of n images in chunks."""
        return self.data.chunks(n)

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n images, with labels and a fixed caption each."""
        batch = self.data.first(n)
        return {**batch, "caption": self.captions(len(batch["data"]))[0]}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return the distinct labels (k, …) and their frequencies (k,)."""
        return self.data.label_frequencies()

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """Yield every image once, in order, unmirrored and without captions, in batches of `size`."""
        return self.data.epoch(size)

    def describe(self) -> str:
        """Describe the images and the number of captions."""
        return f"{self.data.describe()}; {len(self.codes):,} captions"
