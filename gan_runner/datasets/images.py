"""Image datasets: resident on the device as uint8 if they fit in memory, else streamed by a DataLoader.

Images are normalised to [−1, 1] and mirrored on the device.
"""

from __future__ import annotations

import atexit
import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from multiprocessing import get_all_start_methods
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

from gan_runner.datasets.base import ALL, Data, Order, Split, rng
from gan_runner.datasets.labels import Labels, frequencies
from gan_runner.errors import DataError, WorkerLost
from gan_runner.tools.activity import Activity
from gan_runner.tools.cache import key_of
from gan_runner.tools.memory import free_memory
from gan_runner.turn import Batch

Value = TypeVar("Value")
Resident = Literal["auto"] | bool
SHARE_OF_FREE_MEMORY = 0.5
CHUNK = 256  # images per chunk
PREFETCH = 4  # batches that each worker prefetches
MAX_COUNTED = 10_000  # images that are decoded to count labels
Item = tuple[Tensor, Tensor]  # an image (c, h, w) uint8 and its label


@dataclass(frozen=True, kw_only=True)
class ImageDataset:
    """Base class of all image datasets.

    Args:
        image_size: side in pixels; the shorter side is resized to it, then the centre is cropped.
        channels: 1 for grey, 3 for colour; files are converted.
        flip: mirror each image horizontally with probability ½ each time it is read.
        resident: keep all images on the device; `auto` does so if they fit in half of the free memory.
        workers: number of processes that decode files.
        held_out: number of images in the validation split, a fixed random choice that is not trained on.
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
        """None: images have no labels unless a subclass defines them."""
        return None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Train; validation if images are held out; test if the dataset has test images."""
        return ("train", *(("validation",) if self.held_out else ()), *(("test",) if self.has_test else ()))

    @property
    def has_test(self) -> bool:
        """Whether the dataset has a test split."""
        return False

    def source(self) -> Source:
        """Open the images for training and validation without decoding them."""
        raise TypeError(f"{type(self).__name__} does not define where its images come from")

    def test_source(self) -> Source:
        """Open the images of the test split without decoding them."""
        raise TypeError(f"{type(self).__name__} has no test split")

    def split_source(self, split: Split) -> Source:
        """Open the images of a split without decoding them.

        Raises:
            DataError: no images are left to train on.
        """
        if split == "test":
            return self.test_source()
        source = self.source()
        if not self.held_out:
            return source
        if self.held_out >= len(source):
            raise DataError(
                f"dataset.held_out={self.held_out} leaves none of the {len(source)} images of {source.name} for "
                "training; hold out fewer"
            )
        chosen = torch.randperm(len(source), generator=rng(-1, len(source)))
        return source.only(chosen[: self.held_out] if split == "validation" else chosen[self.held_out :])

    def load(self, device: torch.device, split: Split = "train") -> Data:
        """Load the images to the device, or prepare to stream them."""
        return self.load_images(self.split_source(split), device)

    def load_images(self, source: Source, device: torch.device) -> ResidentImages | StreamedImages:
        """Return resident or streamed images, depending on `resident` and free memory."""
        if len(source) == 0:
            raise DataError(f"{source.name} contains no images")
        resident = self.resident
        if resident == "auto":
            size = len(source) * self.channels * self.image_size**2
            resident = size < SHARE_OF_FREE_MEMORY * free_memory(device)
        if not resident:
            return StreamedImages(source, device, self.flip, self.workers, self.labels)
        images, labels = source.all(self.workers)
        if self.labels is not None:
            self.labels.check(labels, source.name)
        return ResidentImages(source.name, images.to(device), labels.to(device), self.flip, source.digest())


class Source(TorchDataset[Item]):
    """Images read one by one, each (c, h, w) uint8 with a label.

    Args:
        name: name for messages.
        items: a sequence of pairs of a PIL image and a label.
        size: side of the result in pixels.
        channels: channels of the result.
        files: file name of each image, for error messages.
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
        return self.read(index, lambda image, label: (fit(image, self.size, self.channels), torch.as_tensor(label)))

    def read(self, index: int, convert: Callable[..., Value]) -> Value:
        """Read an image and what belongs to it, such as a label, and convert them.

        Raises:
            DataError: naming the file, if it is broken.
        """
        image = None
        try:
            image, *rest = self.items[index]
            return convert(image, *rest)
        except Exception as error:  # broken files raise errors of many types
            file = getattr(image, "filename", None) or (self.files and self.files[index])
            place = file or f"image {index} of {self.name}"
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{place} cannot be read as an image ({reason}); repair or remove it") from error

    def digest(self) -> str:
        """Return sixteen hex digits that identify the images, by their number and the content of a fixed choice."""
        chosen = fixed_choice(len(self), 64).tolist()
        parts = [
            self.read(index, lambda image, *rest: (np.asarray(image).tobytes(), *map(repr, rest))) for index in chosen
        ]
        return key_of([str(len(self)), *(part for pair in parts for part in pair)])

    def only(self, indices: Tensor) -> Source:
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        chosen = indices.sort().values.tolist()
        files = None if self.files is None else [self.files[index] for index in chosen]
        return Source(self.name, Subset(self.items, chosen), self.size, self.channels, files)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Yield images (k, c, h, w) and labels (k, …) in order, in chunks of `size`, decoded by worker processes."""
        if len(self) < 1_000:
            workers = 0  # starting processes would take longer
        yield from decode(self, workers, batch_size=size)

    def all(self, workers: int) -> Item:
        """Return all images (n, c, h, w) and labels (n, …)."""
        images = torch.empty(len(self), self.channels, self.size, self.size, dtype=torch.uint8)
        labels: list[Tensor] = []
        rest = images
        with Activity(f"decoding {self.name}", len(self), "images") as activity:
            for chunk, label in self.chunks(workers):
                rest[: len(chunk)] = chunk
                rest = rest[len(chunk) :]
                labels.append(label)
                activity.done += len(chunk)
        return images, torch.cat(labels)


class ArraySource(Source):
    """Images from an array in memory.

    Args:
        name: name for messages.
        array: (n, h, w), (n, h, w, c) or (n, c, h, w) uint8.
        labels: (n, …) integers.
        size: side of the result in pixels.
        channels: channels of the result.
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

    def digest(self) -> str:
        """Return sixteen hex digits that identify the images and labels."""
        return key_of([self.items.numpy().tobytes(), self.labels.numpy().tobytes()])

    def only(self, indices: Tensor) -> ArraySource:
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        chosen = indices.sort().values
        return ArraySource(self.name, self.items[chosen], self.labels[chosen], self.size, self.channels)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Yield images (k, c, h, w) and labels (k, …) in order, in chunks of `size`."""
        for images, labels in zip(self.items.split(size), self.labels.split(size)):
            yield fit(images, self.size, self.channels), labels


def fit(image: Image.Image | Tensor, size: int, channels: int) -> Tensor:
    """Resize, crop and convert a PIL image or tensor (…, c, h, w) to uint8 (…, channels, size, size).

    Raises:
        ValueError: it holds numbers that are neither bytes nor from 0 to 1.
    """
    pixels = to_tensor(standardise(image)) if isinstance(image, Image.Image) else to_bytes(image)
    if pixels.shape[-3] > channels:
        pixels = to_grey(pixels)
    if pixels.shape[-2:] != (size, size):
        pixels = resize(pixels, size)
    return pixels.expand(*pixels.shape[:-3], channels, size, size).contiguous()


def to_tensor(image: Image.Image) -> Tensor:
    """Convert a grey or colour PIL image to uint8 (c, h, w)."""
    return torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)


def resize(pixels: Tensor, size: int) -> Tensor:
    """Resize the shorter side of uint8 (…, c, h, w) to `size` and crop the centre: (…, c, size, size).

    The result equals torchvision's `resize` and `center_crop`; importing torchvision would take longer than torch.
    """
    *outer, height, width = pixels.shape
    short = min(height, width)
    tall, wide = size * height // short, size * width // short
    stack = pixels.reshape(-1, outer[-1], height, width)
    stack = interpolate(stack, (tall, wide), mode="bilinear", antialias=True)
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    return stack[..., top : top + size, left : left + size].reshape(*outer, size, size)


def to_grey(image: Tensor) -> Tensor:
    """Convert colours (…, 3, h, w) to luma (…, 1, h, w) by ITU-R 601-2, rounded as in Pillow, so grey is unchanged.

    torchvision's `rgb_to_grayscale` truncates, and its weights sum to less than one.
    """
    red, green, blue = image.int().split(1, dim=-3)
    return ((red * 19595 + green * 38470 + blue * 7471 + 2**15) >> 16).to(torch.uint8)


def standardise(image: Image.Image) -> Image.Image:
    """Convert an image to 8-bit grey or colour, upright, with transparency on white.

    16 bits, and floats from 0 to 1, are scaled.

    Raises:
        ValueError: it holds other numbers, so that it is unknown which of them is white.
    """
    sixteen_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    image = ImageOps.exif_transpose(image)
    if sixteen_bits:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(to_bytes(torch.from_numpy(np.array(image))).numpy())
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def to_bytes(pixels: Tensor) -> Tensor:
    """Convert bytes, booleans, or floats from 0 to 1 to uint8, of the same shape.

    Raises:
        ValueError: these are other numbers.
    """
    if pixels.dtype == torch.uint8:
        return pixels
    if pixels.dtype == torch.bool:
        return pixels.to(torch.uint8) * 255
    if pixels.is_floating_point() and bool(((pixels >= 0) & (pixels <= 1)).all()):  # false for NaN
        return (pixels * 255).round().to(torch.uint8)
    kind, (low, high) = str(pixels.dtype).removeprefix("torch."), pixels.aminmax()
    raise ValueError(
        f"its values are {kind} from {low.item():g} to {high.item():g}, where 8 or 16 bits or floats from 0 to 1 are "
        "needed"
    )


def normalised(images: Tensor) -> Tensor:
    """Convert uint8 (n, c, h, w) to float32 in [−1, 1]."""
    return images.float().div_(127.5).sub_(1)


def as_bytes(images: Tensor) -> Tensor:
    """Convert images to uint8, the inverse of `normalised`; values outside of [−1, 1] are clamped."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


LEVELS = 256
"""Number of values of a byte."""


def dequantised(images: Tensor, noise: Tensor) -> Tensor:
    """Dequantise images (n, …) on [−1, 1], so that a density can be fitted to them (Uria et al. 2013, arXiv:1306.0186,
    Section 5).

    Args:
        images: bytes from 0 to 255, normalised to [−1, 1].
        noise: uniform noise in [0, 1), same shape.

    Returns:
        2 (byte + noise) / 256 − 1: each byte is spread over its bin, and the bins fill [−1, 1].
    """
    return ((images + 1) * 127.5 + noise) * (2 / LEVELS) - 1


def quantised(points: Tensor) -> Tensor:
    """Images (n, …) on [−1, 1] whose values are those of bytes, from points of a density of `dequantised` images.

    It is the inverse of `dequantised` for every noise: byte = ⌊128 (x + 1)⌋.
    """
    return ((points + 1) * (LEVELS / 2)).floor().clamp(0, LEVELS - 1) / 127.5 - 1


def bits(nats: Tensor, of_bytes: bool) -> Tensor:
    """Convert −ln p per dimension, p a density on [−1, 1], to bits per dimension.

    With `of_bytes`, the density is rescaled to the units of bytes, so the uniform density on images has 8 bits (Theis
    et al. 2016, arXiv:1511.01844, Section 3.1).
    """
    units = math.log2(LEVELS / 2) if of_bytes else 0.0
    return nats / math.log(2) + units


@runtime_checkable
class HasFlip(Protocol):
    """Data with horizontal mirroring as augmentation.

    Attributes:
        flip: whether each sample is mirrored with probability ½.
    """

    flip: bool


def mirrored(data: Tensor, size: int, seed: int, number: int, rows: slice = ALL) -> Tensor:
    """Mirror each of the rows (n, c, h, w) of batch `number` with probability ½; `size` is the size of the batch."""
    heads = torch.rand(size, 1, 1, 1, generator=rng(seed, number))[rows] < 0.5
    return torch.where(heads.to(data.device), data.flip(3), data)


def fixed_choice(length: int, n: int) -> Tensor:
    """Return the first n indices of a fixed permutation, or all indices if there are fewer."""
    return Order(length, seed=0).indices(0, min(n, length))


class ResidentImages(Data):
    """Images kept on the device as uint8.

    Args:
        name: name for messages.
        images: (n, c, h, w) uint8.
        labels: (n, …).
        flip: whether to mirror images at random.
        digest: identifies what was read.
    """

    def __init__(self, name: str, images: Tensor, labels: Tensor, flip: bool, digest: str = ""):
        self.name = name
        self.images = images
        self.labels = labels
        self.flip = flip
        self.digest = digest

    def __len__(self) -> int:
        return len(self.images)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from number `start` on."""
        order = Order(len(self.images), seed)
        for number in count(start):
            indices = order.indices(number, size)[rows].to(self.images.device, non_blocking=True)
            data = normalised(self.images[indices])
            data = mirrored(data, size, seed, number, rows) if self.flip else data
            yield {"data": data, "label": self.labels[indices]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield the fixed choice of n images in chunks."""
        chosen = fixed_choice(len(self), n)
        yield from (normalised(self.images[some]) for some in chosen.to(self.images.device).split(CHUNK))

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n images with their labels."""
        chosen = fixed_choice(len(self), n).to(self.images.device)
        return {"data": normalised(self.images[chosen]), "label": self.labels[chosen]}

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return the distinct labels (k, …) and their frequencies (k,)."""
        return frequencies(self.labels)

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """Yield every image once, in order and unmirrored, in batches of `size`."""
        for images, labels in zip(self.images.split(size), self.labels.split(size)):
            yield {"data": normalised(images), "label": labels}

    def describe(self) -> str:
        """Describe the number, shape and location of the images."""
        n, channels, height, width = self.images.shape
        place = f"{self.images.device.type} memory, {self.images.nbytes / 2**20:.0f} MiB"
        return f"{n:,} images {channels}×{height}×{width} of {self.name}, in {place}"


class StreamedImages(Data):
    """Images decoded during training by worker processes.

    Args:
        source: the images.
        device: device of the batches.
        flip: whether to mirror images at random.
        workers: number of processes.
        labels: the meaning of the labels, which are checked when they are read.
    """

    def __init__(self, source: Source, device: torch.device, flip: bool, workers: int, labels: Labels | None = None):
        self.source = source
        self.device = device
        self.flip = flip
        self.workers = workers
        self.labels = labels

    @cached_property
    def digest(self) -> str:
        """Identifies what is read."""
        return self.source.digest()

    def __len__(self) -> int:
        return len(self.source)

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from number `start` on."""
        on_gpu = self.device.type == "cuda"
        batches = self.decode(
            batch_sampler=BatchOrder(len(self.source), start, size, seed, rows),
            prefetch_factor=PREFETCH if self.workers else None,
            pin_memory=on_gpu,
        )
        batches = prefetch_to_gpu(batches, self.device) if on_gpu else batches
        for number, (images, labels) in enumerate(batches, start):
            data = normalised(images)
            data = mirrored(data, size, seed, number, rows) if self.flip else data
            yield {"data": data, "label": labels}

    def decode(self, **options: Any) -> Iterator[Item]:
        """Yield batches on the CPU; `options` are those of the DataLoader.

        Raises:
            DataError: an image is broken, or a label is not one of the dataset's.
        """
        for images, labels in decode(self.source, self.workers, **options):
            if self.labels is not None:
                self.labels.check(labels, self.source.name)
            yield images, labels

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield the fixed choice of n images in chunks."""
        for some in fixed_choice(len(self), n).split(CHUNK):
            yield normalised(torch.stack([self.source[i][0] for i in some.tolist()]).to(self.device))

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n images with their labels."""
        images, labels = zip(*(self.source[i] for i in fixed_choice(len(self), n).tolist()))
        return {
            "data": normalised(torch.stack(images).to(self.device)),
            "label": torch.stack([torch.as_tensor(label) for label in labels]).to(self.device),
        }

    def label_frequencies(self) -> tuple[Tensor, Tensor]:
        """Return the distinct labels (k, …) and frequencies (k,) in a sample, as reading a label decodes its image."""
        chosen = self.source.only(fixed_choice(len(self), MAX_COUNTED))
        return frequencies(torch.cat([labels for _, labels in chosen.chunks(self.workers)]).to(self.device))

    def epoch(self, size: int = CHUNK) -> Iterator[Batch]:
        """Yield every image once, in order and unmirrored, in batches of `size`."""
        for images, labels in self.source.chunks(self.workers, size):
            yield {"data": normalised(images.to(self.device)), "label": labels.to(self.device)}

    def describe(self) -> str:
        """Describe the number, shape and location of the images."""
        side = self.source.size
        return (
            f"{len(self.source):,} images {self.source.channels}×{side}×{side} of {self.source.name}, "
            f"streamed by {self.workers} workers"
        )


def decode(source: Source, workers: int, **options: Any) -> Iterator[Item]:
    """Yield images (k, c, h, w) and labels (k, …), decoded by worker processes, which end with the iterator.

    Args:
        source: the images.
        workers: number of processes; 0 decodes in this one.
        options: other options of the DataLoader, such as the size of batches.

    Raises:
        DataError: an image is broken.
        WorkerLost: a process cannot be started, or was killed.
    """
    generator = items_of(
        DataLoader(
            source,
            num_workers=workers,
            collate_fn=Arrays.collate,
            generator=torch.Generator(),  # leaves the run's own random numbers alone
            worker_init_fn=prepare_worker,
            multiprocessing_context=get_all_start_methods()[0] if workers else None,  # joblib's own starts no workers
            **options,
        )
    )
    OPEN.add(generator)
    return generator


OPEN: WeakSet[Generator[Item, None, None]] = WeakSet()
"""The iterators of `decode` that may have worker processes."""


@atexit.register
def end_workers() -> None:
    """End the worker processes that are left when Python ends: they ignore the SIGTERM that Python sends them."""
    for generator in list(OPEN):
        generator.close()


def items_of(loader: DataLoader[Item]) -> Generator[Item, None, None]:
    """Yield the items of a DataLoader, as described for `decode`."""
    try:
        for item in loader:
            yield item.tensors() if isinstance(item, Arrays) else item
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold the DataLoader's iterator, which ends its processes
        if isinstance(error, OSError) or WorkerLost.is_reported_by(error):
            raise WorkerLost(error) from error
        raise


class Arrays(NamedTuple):
    """Images (k, c, h, w) and labels (k, …) as arrays.

    A worker process sends arrays through a pipe. Tensors would need shared memory, of which containers have little,
    and sockets in the folder for temporary files, whose path may be too long for a socket.
    """

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def collate(cls, items: Sequence[Item]) -> Arrays:
        """Stack images and labels."""
        images, labels = zip(*items)
        return cls(np.stack([image.numpy() for image in images]), np.stack([label.numpy() for label in labels]))

    def tensors(self) -> Item:
        """Return tensors that share the memory of the arrays."""
        return torch.from_numpy(self.images), torch.from_numpy(self.labels)

    def pin_memory(self) -> Item:
        """Return tensors in pinned memory; the DataLoader calls this in a thread."""
        images, labels = self.tensors()
        return images.pin_memory(), labels.pin_memory()


def prepare_worker(worker: int) -> None:
    """Make a worker process end with its parent, and outlive the signals that reach all processes of a run.

    A worker that ended on Ctrl-C or the first SIGTERM would end the run before it has saved. The second SIGTERM ends
    the worker.
    """
    for signum in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """End this process soon after its parent, which may have been killed, although a thread may still wait to send."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(1)
    os._exit(1)


def prefetch_to_gpu(batches: Iterable[Item], device: torch.device) -> Iterator[Item]:
    """Copy pinned batches to a GPU on a separate CUDA stream, while the previous batch is in use."""
    copy_stream = torch.cuda.Stream(device)

    def copy(batch: Item) -> Item:
        with torch.cuda.stream(copy_stream):
            images, labels = (part.to(device, non_blocking=True) for part in batch)
        return images, labels

    copies = map(copy, batches)
    upcoming = next(copies)
    while True:
        current_stream = torch.cuda.current_stream(device)
        current_stream.wait_stream(copy_stream)
        for part in upcoming:
            part.record_stream(current_stream)  # or its memory may be reused as soon as Python frees it
        batch, upcoming = upcoming, next(copies)
        yield batch


class BatchOrder:
    """A batch sampler for a DataLoader: the given rows of the batches from number `start` on."""

    def __init__(self, length: int, start: int, size: int, seed: int, rows: slice = ALL):
        self.order = Order(length, seed)
        self.start = start
        self.size = size
        self.rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        for number in count(self.start):
            yield self.order.indices(number, self.size)[self.rows].tolist()
