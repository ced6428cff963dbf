#!/usr/bin/env python
"""Measure how much faster batches from memory are than a loader that decodes each image with Pillow.

    python scripts/measure_data.py --root FOLDER      a folder with a subfolder of images for each class, or MNIST

In one process two sources take turns: gan-runner's resident data, and torchvision's dataset in a DataLoader without
workers, which decodes, resizes, crops, converts and normalises to [−1, 1]. The table gives batches per second and the
median, minimum and maximum ratio of a pair of turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import MNIST
from torchvision.datasets import ImageFolder as DecodedFolder
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from gan_runner.build import choose_device
from gan_runner.datasets.folder import ImageFolder
from gan_runner.datasets.torchvision import TorchvisionImages
from gan_runner.tools.activity import Activity


def main() -> None:
    """Measure both sources and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--root", required=True, help="folder of images by class, or of MNIST")
    arguments.add_argument("--image-size", type=int, help="side in pixels (default 32, 28 for MNIST)")
    arguments.add_argument("--batch-size", type=int, default=64, help="images in a batch (default 64)")
    arguments.add_argument(
        "--batches", type=int, default=20, help="batches in a turn of the decoding loader (default 20)"
    )
    arguments.add_argument("--turns", type=int, default=9, help="turns of each source (default 9)")
    arguments.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    options = arguments.parse_args()
    device = choose_device(options.device)
    mnist = (Path(options.root) / "MNIST").is_dir()
    sizes = {"image_size": options.image_size or (28 if mnist else 32), "channels": 1 if mnist else 3}
    images = partial(MNIST, options.root) if mnist else partial(DecodedFolder, options.root)
    if mnist:
        data = TorchvisionImages(images=images, name="MNIST", root=options.root, resident=True, **sizes).load(device)
    else:
        data = ImageFolder(root=options.root, resident=True, **sizes).load(device)
    resident = data.stream(0, options.batch_size, seed=0)
    decoded = decoding(images, sizes["image_size"], options.batch_size, device)
    pairs = []
    with Activity("measuring", options.turns + 1, "turns") as activity:
        for activity.done in range(options.turns + 1):  # the first warms up
            pairs.append((rate(resident, 20 * options.batches, device), rate(decoded, options.batches, device)))
    fast, slow = zip(*pairs[1:])
    ratios = [left / right for left, right in zip(fast, slow)]
    print(f"{data.describe()}; batches of {options.batch_size}, {torch.get_num_threads()} threads\n")
    print("| batches/s, resident | batches/s, decoded | ratio: median (min – max) |\n| --- | --- | --- |")
    spread = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} – {max(ratios):.0f}), {len(ratios)} pairs"
    print(f"| {statistics.median(fast):,.0f} | {statistics.median(slow):,.1f} | {spread} |")


def decoding(make: Callable[..., Any], size: int, batch_size: int, device: torch.device) -> Iterator[Any]:
    """Endless batches. Each image is decoded and transformed when it is drawn."""
    images = make(transform=Compose([Resize(size), CenterCrop(size), ToTensor(), Normalize(0.5, 0.5)]))
    order = RandomSampler(images, replacement=True, num_samples=10**9)
    for batch, labels in DataLoader(images, batch_size, sampler=order):
        yield batch.to(device), labels.to(device)


def rate(batches: Iterator[Any], n: int, device: torch.device) -> float:
    """Batches per second, over n batches."""
    began = time.perf_counter()
    for _ in islice(batches, n):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return n / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
