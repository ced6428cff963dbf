"""Image datasets from torchvision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from torch import Tensor

from gan_runner.datasets.images import ArraySource, ImageDataset, Source
from gan_runner.datasets.labels import Attributes, Labels, as_classes
from gan_runner.errors import DataError

OPENED: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""The torchvision datasets in use, by their constructor call: a process may open an LMDB folder only once."""


@dataclass(frozen=True, kw_only=True)
class TorchvisionImages(ImageDataset):
    """A torchvision dataset of pairs (image, label).

    Args:
        images: the constructor of the dataset with all its arguments (root, split, download).
        name: name for messages.
        root: folder that is passed to the constructor, for error messages.
        download: whether the constructor downloads the data, for error messages.
        test: arguments of the constructor that differ for the test split; None if there is no test split.
        classes: names of the classes, or their number; None if labels are not classes.
        attributes: names of the attributes, if a label is a vector of attributes.
        advice: what to do if the data is missing; None for the usual advice about `download` and `root`.
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
            raise ValueError("dataset.classes and dataset.attributes exclude each other; remove one")
        _ = self.labels  # rejects empty and duplicate names

    @property
    def labels(self) -> Labels | None:
        """Classes or attributes, as configured."""
        return Attributes(tuple(self.attributes)) if self.attributes else as_classes(self.classes)

    @property
    def has_test(self) -> bool:
        """Whether the dataset has a test split."""
        return self.test is not None

    def source(self) -> Source:
        """Open the images for training and validation."""
        return self.open(self.name)

    def test_source(self) -> Source:
        """Open the images of the test split."""
        return self.open(f"{self.name} (test)", **(self.test or {}))

    def open(self, name: str, **options: Any) -> Source:
        """Construct torchvision's dataset; use its array of images if it has one, and nothing transforms its items.

        Raises:
            DataError: torchvision raised an error; each of its datasets has its own error types for missing files.
        """
        call = f"{self.images} {options}"
        try:
            items = OPENED.get(call) or self.images(**options)
        except ImportError as error:
            raise DataError(f"{self.name} needs {error.name or error}: pip install 'gan-runner[datasets]'") from error
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            folder = Path(self.root).expanduser().absolute()
            raise DataError(f"no {self.name} at {folder} ({reason}); {self.missing_data_advice()}") from error
        with suppress(TypeError):  # a list, for example, cannot be referenced weakly
            OPENED[call] = items
        array = getattr(items, "data", None)
        labels = getattr(items, "targets", getattr(items, "labels", None))
        plain = labels is not None and np.ndim(labels) == 1 and getattr(items, "transforms", None) is None
        if isinstance(array, np.ndarray | Tensor) and plain:
            return ArraySource(name, array, labels, self.image_size, self.channels)
        files = getattr(items, "filename", None)
        return Source(name, items, self.image_size, self.channels, files)

    def missing_data_advice(self) -> str:
        """Return what to do if the data is missing."""
        if self.advice:
            return self.advice
        if self.download:
            return "the download failed; try again, or set dataset.root to a folder with the data"
        return "set dataset.download=true to download it, or dataset.root to the folder with the data"
