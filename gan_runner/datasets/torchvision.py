"""The image sets that torchvision reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gan_runner.datasets.images import ArraySource, ImageDataset, Source
from gan_runner.datasets.labels import Attributes, Labels, classes
from gan_runner.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TorchvisionImages(ImageDataset):
    """Any of torchvision's datasets whose items are pairs of an image and a label.

    Args:
        images: the dataset's constructor with all its arguments (root, split, download).
        name: for people.
        root: folder that the constructor is given, to name it when nothing is found there.
        download: whether the constructor was told to download.
        test: the constructor's arguments that differ for the images for testing; None if there are none.
        classes: the names of its classes, or how many there are; None if its labels are no classes.
        attributes: the names of its attributes, where a label is a row of them.
        advice: what to do if the data is not there, where that differs from what can be done for most.
    """

    images: Callable[..., Any]
    name: str
    root: str
    download: bool = False
    test: dict[str, Any] | None = None
    classes: int | tuple[str, ...] | None = None
    attributes: tuple[str, ...] = ()
    advice: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes is not None and self.attributes:
            raise ValueError("dataset.classes and dataset.attributes are two meanings of one label; leave one out")
        _ = self.labels  # refuses names by which nothing can be chosen

    @property
    def labels(self) -> Labels | None:
        """Classes or attributes, as it was told."""
        return Attributes(tuple(self.attributes)) if self.attributes else classes(self.classes)

    @property
    def has_test(self) -> bool:
        """Whether the set has images for testing."""
        return self.test is not None

    def source(self) -> Source:
        """Those for training."""
        return self.opened(self.name)

    def test_source(self) -> Source:
        """Those for testing."""
        return self.opened(f"{self.name} (test)", **(self.test or {}))

    def opened(self, name: str, **options: Any) -> Source:
        """Open what is at `root`; read as one array where torchvision has it as one.

        Raises:
            DataError: if torchvision raises anything: each set has its own errors for missing files.
        """
        try:
            items = self.images(**options)
        except ImportError as error:
            raise DataError(f"{self.name} needs {error.name or error}: pip install 'gan-runner[datasets]'") from error
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            folder = Path(self.root).expanduser().absolute()
            raise DataError(f"no {self.name} at {folder} ({reason}); {self.what_to_do()}") from error
        array = getattr(items, "data", None)
        labels = getattr(items, "targets", getattr(items, "labels", None))
        if isinstance(array, np.ndarray | Tensor) and labels is not None:
            return ArraySource(name, array, labels, self.image_size, self.channels)
        files = getattr(items, "filename", None)
        return Source(name, items, self.image_size, self.channels, files)

    def what_to_do(self) -> str:
        """Advice for people whose data is not there."""
        if self.advice:
            return self.advice
        if self.download:
            return "the download failed: try again, or set dataset.root to a folder that holds it"
        return "set dataset.download=true to fetch it, or dataset.root to the folder that holds it"
