"""The image sets that torchvision reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_runner.datasets.images import ArraySource, ImageDataset, Source
from gan_runner.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TorchvisionImages(ImageDataset):
    """Any of torchvision's datasets whose items are pairs of an image and a label.

    Args:
        images: the dataset's constructor with all its arguments (root, split, download).
        name: for people.
        root: folder that the constructor is given, to name it when nothing is found there.
        download: whether the constructor was told to download.
        advice: what to do if the data is not there.
    """

    images: Callable[[], Any]
    name: str
    root: str
    download: bool = False
    advice: str = "set dataset.download=true to fetch it, or dataset.root to the folder that holds it"

    def source(self) -> Source:
        """Open what is at `root`; read as one array where torchvision has it as one."""
        try:
            items = self.images()
        except (RuntimeError, OSError, ImportError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"no {self.name} at {Path(self.root).absolute()} ({reason}); {self.advice}") from error
        array = getattr(items, "data", None)
        labels = getattr(items, "targets", getattr(items, "labels", None))
        if array is not None and labels is not None:
            return ArraySource(self.name, np.asarray(array), labels, self.image_size, self.channels)
        return Source(self.name, items, self.image_size, self.channels)
