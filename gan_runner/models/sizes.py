"""Sizes that make sense."""

from __future__ import annotations


def at_least_one(**sizes: int) -> None:
    """Raise ValueError for a size below one, by its name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
