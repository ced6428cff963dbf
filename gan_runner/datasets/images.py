"""Images: resident on the device as uint8 where they fit, streamed by a DataLoader where they do not.

Both are normalised to [−1, 1] and flipped on the device.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import psutil
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

from gan_runner.datasets.base import ALL, Data, Order, Split, rng
from gan_runner.datasets.labels import Labels, shares
from gan_runner.errors import DataError
from gan_runner.turn import Batch

Resident = Literal["auto"] | bool
SHARE_OF_FREE_MEMORY = 0.5
CHUNK = 256  # images decoded, or handed out to be compared with, at a time
READ_AHEAD = 4  # batches that each worker has ready
LOOKED_THROUGH = 10_000  # images that are decoded to count labels
Item = tuple[Tensor, Tensor]  # an image (c, h, w) uint8 and its label


@dataclass(frozen=True, kw_only=True)
class ImageDataset:
    """What every set of images takes.

    Args:
        image_size: side in pixels; other sizes are resized on their shorter side and cropped in the centre.
        channels: 1 for grey, 3 for colour; what the files hold is converted.
        flip: mirror each image from left to right with probability ½, anew each time it is seen.
        resident: hold all images on the device; `auto` does where they take less than half of what is free.
        workers: processes that decode files.
        held_out: so many images, drawn at random and the same every time, are not trained on: the validation split.
    """

    image_size: int = 32
    channels: Literal[1, 3] = 3
    flip: bool = False
    resident: Resident = "auto"
    workers: int = 2
    held_out: int = 0

    bounded = True

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"dataset.image_size must be positive, not {self.image_size}")
        if self.workers < 0:
            raise ValueError(f"dataset.workers must be 0 or more, not {self.workers}")
        if self.held_out < 0:
            raise ValueError(f"dataset.held_out must be 0 or more images, not {self.held_out}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, side, side)."""
        return (self.channels, self.image_size, self.image_size)

    @property
    def labels(self) -> Labels | None:
        """What its labels mean: nothing, unless it says so."""
        return None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Validation where images are held out; test where the set has one."""
        return ("train", *(("validation",) if self.held_out else ()), *(("test",) if self.has_test else ()))

    @property
    def has_test(self) -> bool:
        """Whether there are images for testing, apart from those for training."""
        return False

    def source(self) -> Source:
        """Open the files for training and validation, decode none."""
        raise TypeError(f"{type(self).__name__} does not say where its images come from")

    def test_source(self) -> Source:
        """Open the files for testing, decode none."""
        raise TypeError(f"{type(self).__name__} has no images for testing")

    def of(self, split: Split) -> Source:
        """The images of a split.

        Raises:
            DataError: nothing would be left to train on.
        """
        if split == "test":
            return self.test_source()
        source = self.source()
        if not self.held_out:
            return source
        if self.held_out >= len(source):
            raise DataError(
                f"dataset.held_out={self.held_out} leaves none of the {len(source)} images of {source.name} to train "
                "on; hold out fewer"
            )
        chosen = torch.randperm(len(source), generator=rng(-1, len(source)))
        return source.only(chosen[: self.held_out] if split == "validation" else chosen[self.held_out :])

    def load(self, device: torch.device, split: Split = "train") -> Data:
        """Bring the images to the device, or get ready to stream them."""
        return self.held(self.of(split), device)

    def held(self, source: Source, device: torch.device) -> ResidentImages | StreamedImages:
        """Images in memory, or streamed."""
        if len(source) == 0:
            raise DataError(f"{source.name} holds no images")
        resident = self.resident
        if resident == "auto":
            size = len(source) * self.channels * self.image_size**2
            resident = size < SHARE_OF_FREE_MEMORY * free_memory(device)
        if not resident:
            return StreamedImages(source, device, self.flip, self.workers)
        images, labels = source.all(self.workers)
        return ResidentImages(source.name, images.to(device), labels.to(device), self.flip)


class Source(TorchDataset[Item]):
    """Images that can be read one by one, each (c, h, w) uint8 with a label.

    Args:
        name: for people.
        items: anything with a length whose items are pairs of a PIL image and a label.
        size: side of the result in pixels.
        channels: of the result.
        files: the name of each one's file, to tell which is broken.
    """

    def __init__(self, name: str, items: Any, size: int, channels: int, files: Sequence[Any] | None = None):
        self.files = files
        self.name = name
        self.items = items
        self.size = size
        self.channels = channels

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        image = None
        try:
            image, label = self.items[index]
            return fit(image, self.size, self.channels), torch.as_tensor(label)
        except Exception as error:  # whatever a decoder makes of broken bytes
            file = getattr(image, "filename", None) or (self.files and self.files[index])
            place = file or f"image {index} of {self.name}"
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{place} cannot be read as an image ({reason}); mend or remove it") from error

    def only(self, indices: Tensor) -> Source:
        """Some of the images, in the order of their indices (k,)."""
        chosen = indices.sort().values.tolist()
        files = None if self.files is None else [self.files[index] for index in chosen]
        return Source(self.name, Subset(self.items, chosen), self.size, self.channels, files)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Images (k, c, h, w) and labels (k, …) in order, `size` at a time, decoded by some processes."""
        if len(self) < 1_000:
            workers = 0  # starting processes would take longer
        yield from DataLoader(
            self, size, num_workers=workers, generator=torch.Generator(), worker_init_fn=ignore_signals
        )

    def all(self, workers: int) -> Item:
        """Every image (n, c, h, w) and label (n, …).

        Each chunk is copied at once, since one that comes from a process keeps a file open.
        """
        images = torch.empty(len(self), self.channels, self.size, self.size, dtype=torch.uint8)
        labels: list[Tensor] = []
        rest = images
        for chunk, label in self.chunks(workers):
            rest[: len(chunk)] = chunk
            rest = rest[len(chunk) :]
            labels.append(label.clone())
        return images, torch.cat(labels)


class ArraySource(Source):
    """Images that are an array already.

    Args:
        name: for people.
        array: (n, h, w), (n, h, w, c) or (n, c, h, w) uint8.
        labels: (n, …) integers.
        size: side of the result in pixels.
        channels: of the result.
    """

    def __init__(self, name: str, array: np.ndarray | Tensor, labels: Any, size: int, channels: int):
        images = torch.as_tensor(array)
        if images.dim() == 3:
            images = images.unsqueeze(1)
        elif images.shape[3] in (1, 3):
            images = images.permute(0, 3, 1, 2)
        super().__init__(name, images, size, channels)
        self.labels = torch.as_tensor(labels).long()

    def __getitem__(self, index: int) -> Item:
        return fit(self.items[index], self.size, self.channels), self.labels[index]

    def only(self, indices: Tensor) -> ArraySource:
        """Some of the images, in the order of their indices (k,)."""
        chosen = indices.sort().values
        return ArraySource(self.name, self.items[chosen], self.labels[chosen], self.size, self.channels)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """The same, in this process."""
        for images, labels in zip(self.items.split(size), self.labels.split(size)):
            yield fit(images, self.size, self.channels), labels


def fit(image: Image.Image | Tensor, size: int, channels: int) -> Tensor:
    """A PIL image or tensor (…, c, h, w) as uint8 (…, channels, size, size): resized, cropped, converted."""
    pixels = pixels_of(plain(image)) if isinstance(image, Image.Image) else image
    if pixels.shape[-3] > channels:
        pixels = grey(pixels)
    if pixels.shape[-2:] != (size, size):
        pixels = resized(pixels, size)
    return pixels.expand(*pixels.shape[:-3], channels, size, size).contiguous()


def pixels_of(image: Image.Image) -> Tensor:
    """A grey or colour PIL image as uint8 (c, h, w)."""
    return torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)


def resized(pixels: Tensor, size: int) -> Tensor:
    """uint8 (…, c, h, w) with the shorter side brought to `size`, cropped in the centre: (…, c, size, size).

    These are torchvision's `resize` and `center_crop` to the bit; importing torchvision takes longer than torch.
    """
    *outer, height, width = pixels.shape
    short = min(height, width)
    tall, wide = size * height // short, size * width // short
    stack = pixels.reshape(-1, outer[-1], height, width)
    stack = interpolate(stack, (tall, wide), mode="bilinear", antialias=True)
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    return stack[..., top : top + size, left : left + size].reshape(*outer, size, size)


def grey(image: Tensor) -> Tensor:
    """Luma (…, 1, h, w) of colours (…, 3, h, w) by ITU-R 601-2, rounded as in Pillow: grey stays what it is.

    torchvision's `rgb_to_grayscale` truncates, and its weights add up to less than one.
    """
    red, green, blue = image.int().split(1, dim=-3)
    return ((red * 19595 + green * 38470 + blue * 7471 + 2**15) >> 16).to(torch.uint8)


def plain(image: Image.Image) -> Image.Image:
    """Grey or colour, 8 bits, upright: 16-bit grey is scaled down, transparency laid on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def normalised(images: Tensor) -> Tensor:
    """uint8 (n, c, h, w) as float32 in [−1, 1]."""
    return images.float().div_(127.5).sub_(1)


def as_bytes(images: Tensor) -> Tensor:
    """The way back: images in [−1, 1], or beyond, as the bytes of the file that they would be written to."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


LEVELS = 256
"""Values of a byte."""


def dequantised(images: Tensor, noise: Tensor) -> Tensor:
    """Images (n, …) on [−1, 1] as densities are fitted to them: each byte anywhere in its bin (Uria et al. 2013,
    arXiv:1306.0186, Section 5).

    Args:
        images: of bytes from 0 to 255, as `normalised` leaves them.
        noise: of the same shape, from 0 to 1.

    Returns:
        2 (byte + noise) / 256 − 1: the bins of all bytes fill [−1, 1].
    """
    return ((images + 1) * 127.5 + noise) * (2 / LEVELS) - 1


def bits(nats: Tensor, of_bytes: bool) -> Tensor:
    """−log₂ p a dimension, from −ln p a dimension of a density on [−1, 1]; of images per unit of their bytes.

    So the uniform density on all images has 8 bits (Theis et al. 2016, arXiv:1511.01844, Section 3.1).
    """
    units = math.log2(LEVELS / 2) if of_bytes else 0.0
    return nats / math.log(2) + units


@runtime_checkable
class HasFlip(Protocol):
    """Data whose samples may come mirrored.

    Attributes:
        flip: whether they do, each with probability ½.
    """

    flip: bool


def mirrored(data: Tensor, size: int, seed: int, number: int, rows: slice = ALL) -> Tensor:
    """Rows (n, c, h, w) of batch `number`, of the given size, each mirrored with probability ½."""
    heads = torch.rand(size, 1, 1, 1, generator=rng(seed, number))[rows] < 0.5
    return torch.where(heads.to(data.device), data.flip(3), data)


def fixed_choice(length: int, n: int) -> Tensor:
    """The first n of a permutation that is always the same; all, if there are fewer."""
    return Order(length, seed=0).indices(0, min(n, length))


class ResidentImages(Data):
    """All images on the device as uint8."""

    def __init__(self, name: str, images: Tensor, labels: Tensor, flip: bool):
        self.name = name
        self.images = images
        self.labels = labels
        self.flip = flip

    def __len__(self) -> int:
        return len(self.images)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """All batches from number `start` on."""
        order = Order(len(self.images), seed)
        for number in count(start):
            indices = order.indices(number, size)[rows].to(self.images.device, non_blocking=True)
            data = normalised(self.images[indices])
            data = mirrored(data, size, seed, number, rows) if self.flip else data
            yield {"data": data, "label": self.labels[indices]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """The first n images of a fixed permutation, so many at a time."""
        chosen = fixed_choice(len(self), n)
        yield from (normalised(self.images[some]) for some in chosen.to(self.images.device).split(CHUNK))

    def first(self, n: int) -> Batch:
        """The same with their labels."""
        chosen = fixed_choice(len(self), n).to(self.images.device)
        return {"data": normalised(self.images[chosen]), "label": self.labels[chosen]}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """The different labels (k, …), and the share of the images that has each (k,)."""
        return shares(self.labels)

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """All images once, in order, never mirrored, `size` at a time."""
        for images, labels in zip(self.images.split(size), self.labels.split(size)):
            yield {"data": normalised(images), "label": labels}

    def describe(self) -> str:
        """Count, shape and place."""
        n, channels, height, width = self.images.shape
        place = f"{self.images.device.type} memory, {self.images.nbytes / 2**20:.0f} MiB"
        return f"{n:,} images {channels}×{height}×{width} of {self.name}, in {place}"


class StreamedImages(Data):
    """Images decoded on the way, by worker processes that read ahead."""

    def __init__(self, source: Source, device: torch.device, flip: bool, workers: int):
        self.source = source
        self.device = device
        self.flip = flip
        self.workers = workers

    def __len__(self) -> int:
        return len(self.source)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """All batches from number `start` on."""
        loader = DataLoader(
            self.source,
            batch_sampler=BatchOrder(len(self.source), start, size, seed, rows),
            num_workers=self.workers,
            prefetch_factor=READ_AHEAD if self.workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # or it would draw from the run's own random numbers
            worker_init_fn=ignore_signals,
        )
        batches = copied_ahead(loader, self.device) if self.device.type == "cuda" else loader
        for number, (images, labels) in enumerate(batches, start):
            data = normalised(images)
            data = mirrored(data, size, seed, number, rows) if self.flip else data
            yield {"data": data, "label": labels}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """The first n images of a fixed permutation, so many at a time."""
        for some in fixed_choice(len(self), n).split(CHUNK):
            yield normalised(torch.stack([self.source[i][0] for i in some.tolist()]).to(self.device))

    def first(self, n: int) -> Batch:
        """The same with their labels."""
        images, labels = zip(*(self.source[i] for i in fixed_choice(len(self), n).tolist()))
        return {
            "data": normalised(torch.stack(images).to(self.device)),
            "label": torch.stack([torch.as_tensor(label) for label in labels]).to(self.device),
        }

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """The different labels (k, …), and the share that has each (k,) of a fixed choice: they come with images."""
        chosen = self.source.only(fixed_choice(len(self), LOOKED_THROUGH))
        return shares(torch.cat([labels.clone() for _, labels in chosen.chunks(self.workers)]).to(self.device))

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """All images once, in order, never mirrored, `size` at a time."""
        for images, labels in self.source.chunks(self.workers, size):
            yield {"data": normalised(images.to(self.device)), "label": labels.to(self.device)}

    def describe(self) -> str:
        """Count, shape and place."""
        side = self.source.size
        return (
            f"{len(self.source):,} images {self.source.channels}×{side}×{side} of {self.source.name}, "
            f"streamed by {self.workers} workers"
        )


def ignore_signals(worker: int) -> None:
    """Let the run alone decide when a worker ends: Ctrl-C, and a scheduler's SIGTERM, reach all of its processes.

    A worker that died of them would take the run along before it has saved. A second SIGTERM takes its usual effect.
    """
    for signum in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def copied_ahead(batches: Iterable[Item], device: torch.device) -> Iterator[Item]:
    """Pinned batches on a GPU: each is copied by a CUDA stream of its own while the one before is in use."""
    copying = torch.cuda.Stream(device)

    def copy(batch: Item) -> Item:
        with torch.cuda.stream(copying):
            images, labels = (part.to(device, non_blocking=True) for part in batch)
        return images, labels

    copies = map(copy, batches)
    coming = next(copies)
    while True:
        using = torch.cuda.current_stream(device)
        using.wait_stream(copying)
        for part in coming:
            part.record_stream(using)  # or its memory might be given away as soon as Python lets go of it
        ready, coming = coming, next(copies)
        yield ready


class BatchOrder:
    """The order of all batches from number `start` on, or of some of their rows, for a DataLoader."""

    def __init__(self, length: int, start: int, size: int, seed: int, rows: slice = ALL):
        self.order = Order(length, seed)
        self.start = start
        self.size = size
        self.rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        for number in count(self.start):
            yield self.order.indices(number, self.size)[self.rows].tolist()
