"""Sizes and shapes that make sense."""

from __future__ import annotations

from collections.abc import Sequence


def at_least_one(**sizes: int) -> None:
    """Raise ValueError for a size below one, by its name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def square_images_only(shape: Sequence[int]) -> None:
    """Raise ValueError if the shape of one sample is not (channels, side, side), which convolutional networks need."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(
            f"a convolutional network needs square images, and this data has shape {list(shape)}; "
            "choose model=mlp or maxout, or a dataset of images"
        )


def images_only(part: str, shape: Sequence[int]) -> None:
    """Raise ValueError if the shape of one sample is not (channels, height, width), which a part needs."""
    if len(shape) != 3:
        raise ValueError(
            f"{part} needs images, and this data has shape {tuple(shape)}; "
            "choose a dataset of images, or regularizer=[instance_noise], which is for any data"
        )
