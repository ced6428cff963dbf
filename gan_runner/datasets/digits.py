"""Handwritten digits that ship with scikit-learn: 1,797 of 8×8 pixels (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gan_runner.datasets.images import ArraySource, ImageDataset, Source


@dataclass(frozen=True, kw_only=True)
class Digits(ImageDataset):
    """The digits, enlarged to `image_size`: no download, always at hand."""

    image_size: int = 16
    channels: Literal[1, 3] = 1

    def source(self) -> Source:
        """Values 0 … 16 are stretched to 0 … 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = (digits.images * (255 / 16)).round().astype("uint8")
        return ArraySource("scikit-learn's digits", images, digits.target, self.image_size, self.channels)
