"""Images: resident on the device as uint8 where they fit, streamed by a DataLoader where they do not.

Both are normalised to [−1, 1] and flipped on the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import psutil
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms.v2 import functional as transforms

from gan_runner.datasets.base import Data, Order, rng
from gan_runner.errors import DataError
from gan_runner.turn import Batch

Resident = Literal["auto"] | bool
SHARE_OF_FREE_MEMORY = 0.5
Item = tuple[Tensor, Tensor]  # an image (c, h, w) uint8 and its label


@dataclass(frozen=True, kw_only=True)
class ImageDataset:
    """What every set of images takes.

    Args:
        image_size: side in pixels; other sizes are resized on their shorter side and cropped in the centre.
        channels: 1 for grey, 3 for colour; what the files hold is converted.
        flip: mirror each image from left to right with probability ½, anew each time it is seen.
        resident: hold all images on the device; `auto` does where they take less than half of its free memory.
        workers: processes that decode files.
    """

    image_size: int = 32
    channels: Literal[1, 3] = 3
    flip: bool = False
    resident: Resident = "auto"
    workers: int = 2

    bounded = True

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"dataset.image_size must be positive, not {self.image_size}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, side, side)."""
        return (self.channels, self.image_size, self.image_size)

    def source(self) -> Source:
        """Open the files, decode none."""
        raise TypeError(f"{type(self).__name__} does not say where its images come from")

    def load(self, device: torch.device, batch_size: int) -> Data:
        """Bring the images to the device, or get ready to stream them."""
        source = self.source()
        if len(source) == 0:
            raise DataError(f"{source.name} holds no images")
        size = len(source) * self.channels * self.image_size**2
        resident = size < SHARE_OF_FREE_MEMORY * free_memory(device) if self.resident == "auto" else self.resident
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
    """

    def __init__(self, name: str, items: Sequence[tuple[Image.Image, Any]] | Any, size: int, channels: int):
        self.name = name
        self.items = items
        self.size = size
        self.channels = channels

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        image, label = self.items[index]
        return fit(image, self.size, self.channels), torch.as_tensor(label)

    def all(self, workers: int) -> Item:
        """Every image (n, c, h, w) and label (n, …), decoded by some processes."""
        if len(self) < 1_000:
            workers = 0  # starting processes would take longer
        loader = DataLoader(self, batch_size=256, num_workers=workers)
        images, labels = zip(*loader)
        return torch.cat(images), torch.cat(labels)


class ArraySource(Source):
    """Images that are an array already.

    Args:
        name: for people.
        array: (n, h, w), (n, h, w, c) or (n, c, h, w) uint8.
        labels: (n, …).
        size: side of the result in pixels.
        channels: of the result.
    """

    def __init__(self, name: str, array: np.ndarray | Tensor, labels: Any, size: int, channels: int):
        images = torch.as_tensor(np.asarray(array))
        if images.dim() == 3:
            images = images.unsqueeze(1)
        elif images.shape[3] == 3:
            images = images.permute(0, 3, 1, 2)
        super().__init__(name, images, size, channels)
        self.labels = torch.as_tensor(np.asarray(labels))

    def __getitem__(self, index: int) -> Item:
        return fit(self.items[index], self.size, self.channels), self.labels[index]

    def all(self, workers: int) -> Item:
        """Everything, a few thousand at a time, in this process."""
        fitted = [fit(chunk, self.size, self.channels) for chunk in self.items.split(4096)]
        return torch.cat(fitted), self.labels


def fit(image: Image.Image | Tensor, size: int, channels: int) -> Tensor:
    """A PIL image or a tensor (…, c, h, w) as uint8 (…, channels, size, size): resized, centre-cropped, converted."""
    if isinstance(image, Image.Image):
        image = transforms.pil_to_tensor(plain(image, channels))
    if image.shape[-3] != channels:
        image = (transforms.rgb_to_grayscale if channels == 1 else transforms.grayscale_to_rgb)(image)
    if image.shape[-2:] != (size, size):
        image = transforms.center_crop(transforms.resize(image, [size], antialias=True), [size, size])
    return image.contiguous()


def plain(image: Image.Image, channels: int) -> Image.Image:
    """Grey or colour, 8 bits: 16-bit grey is scaled down, transparency laid on white."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("L" if channels == 1 else "RGB")


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def normalised(images: Tensor, flip: bool, seed: int, number: int) -> Tensor:
    """uint8 (n, c, h, w) as float32 in [−1, 1], half of them mirrored if asked for."""
    data = images.float().div_(127.5).sub_(1)
    if flip:
        mirror = torch.rand(len(data), 1, 1, 1, generator=rng(seed, number)).to(data.device) < 0.5
        data = torch.where(mirror, data.flip(3), data)
    return data


class ResidentImages:
    """All images on the device as uint8."""

    def __init__(self, name: str, images: Tensor, labels: Tensor, flip: bool):
        self.name = name
        self.images = images
        self.labels = labels
        self.flip = flip

    def stream(self, start: int, size: int, seed: int) -> Iterator[Batch]:
        """All batches from number `start` on."""
        order = Order(len(self.images), seed)
        number = start
        while True:
            indices = order.indices(number, size).to(self.images.device, non_blocking=True)
            data = normalised(self.images[indices], self.flip, seed, number)
            yield {"data": data, "label": self.labels[indices]}
            number += 1

    def real(self, n: int) -> Tensor:
        """The first n images of a fixed permutation."""
        chosen = Order(len(self.images), seed=0).indices(0, min(n, len(self.images)))
        return normalised(self.images[chosen.to(self.images.device)], False, 0, 0)

    def describe(self) -> str:
        """Count, shape and place."""
        n, channels, height, width = self.images.shape
        place = f"{self.images.device.type} memory, {self.images.nbytes / 2**20:.0f} MiB"
        return f"{n:,} images {channels}×{height}×{width} of {self.name}, in {place}"


class StreamedImages:
    """Images decoded on the way, by worker processes that read ahead."""

    def __init__(self, source: Source, device: torch.device, flip: bool, workers: int):
        self.source = source
        self.device = device
        self.flip = flip
        self.workers = workers

    def stream(self, start: int, size: int, seed: int) -> Iterator[Batch]:
        """All batches from number `start` on."""
        loader = DataLoader(
            self.source,
            batch_sampler=BatchOrder(len(self.source), start, size, seed),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            persistent_workers=False,
        )
        for number, (images, labels) in enumerate(loader, start):
            images = images.to(self.device, non_blocking=True)
            yield {
                "data": normalised(images, self.flip, seed, number),
                "label": labels.to(self.device, non_blocking=True),
            }

    def real(self, n: int) -> Tensor:
        """The first n images of a fixed permutation."""
        chosen = Order(len(self.source), seed=0).indices(0, min(n, len(self.source)))
        images = torch.stack([self.source[i][0] for i in chosen.tolist()])
        return normalised(images.to(self.device), False, 0, 0)

    def describe(self) -> str:
        """Count, shape and place."""
        side = self.source.size
        return (
            f"{len(self.source):,} images {self.source.channels}×{side}×{side} of {self.source.name}, "
            f"streamed by {self.workers} workers"
        )


class BatchOrder:
    """The order of all batches from number `start` on, for a DataLoader."""

    def __init__(self, length: int, start: int, size: int, seed: int):
        self.order = Order(length, seed)
        self.start = start
        self.size = size

    def __iter__(self) -> Iterator[list[int]]:
        number = self.start
        while True:
            yield self.order.indices(number, self.size).tolist()
            number += 1
