"""The 1,797 handwritten digits of 8×8 pixels that scikit-learn ships (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal

import numpy as np

from gan_runner.datasets.images import ArraySource, ImageDataset, Source
from gan_runner.datasets.labels import Labels, as_classes


@dataclass(frozen=True, kw_only=True)
class Digits(ImageDataset):
    """Handwritten digits, resized to `image_size`. They need no download."""

    image_size: int = 16
    channels: Literal[1, 3] = 1

    @property
    def labels(self) -> Labels | None:
        """The digit, 0 to 9."""
        return as_classes(10)

    def source(self) -> Source:
        """Read the digits and scale their values from 0 … 16 to 0 … 255."""
        table = read_table()
        images = (table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
        return ArraySource("scikit-learn's digits", images, table[:, -1], self.image_size, self.channels)


def read_table() -> np.ndarray:
    """Return one row per digit: 64 pixel values from 0 to 16, then the label.

    The file is read directly if it is in its usual place, since importing scikit-learn takes a second.
    """
    path = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
    if path.is_file():
        return np.loadtxt(path, delimiter=",", dtype=np.int64)
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True)).astype(np.int64)
