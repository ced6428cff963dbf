"""Checks of sizes and shapes."""

from __future__ import annotations

from collections.abc import Sequence


def at_least_one(**sizes: int) -> None:
    """Raise ValueError for a size below one. The error names it."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def require_square_images(shape: Sequence[int]) -> None:
    """Raise ValueError unless one sample has the shape (channels, side, side), which convolutional networks need."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(
            f"a convolutional network needs square images, but samples have shape {list(shape)}; "
            "choose model=mlp or maxout, or a dataset of images"
        )


def require_images(part: str, shape: Sequence[int]) -> None:
    """Raise ValueError unless one sample has the shape (channels, height, width). `part` names what needs images."""
    if len(shape) != 3:
        raise ValueError(
            f"{part} needs images, but samples have shape {tuple(shape)}; "
            "choose a dataset of images, or regularizer=[instance_noise], which works with any data"
        )
