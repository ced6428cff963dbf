"""A point mass: data without any randomness."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

import torch
from torch import Tensor

from gan_runner.datasets.base import ALL, Split
from gan_runner.turn import Batch


@dataclass(frozen=True)
class PointMass:
    """Every sample is the same point.

    Args:
        point: (dim,).

    Raises:
        ValueError: if it is no finite point.
    """

    point: tuple[float, ...]

    bounded = False
    labels: ClassVar[None] = None
    splits: ClassVar[tuple[Split, ...]] = ("train",)

    def __post_init__(self) -> None:
        if not self.point or not all(map(math.isfinite, self.point)):
            raise ValueError(f"dataset.point must be finite numbers, at least one, not {list(self.point)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (len(self.point),)

    def load(self, device: torch.device, split: Split = "train") -> PointMassData:
        """Nothing to read."""
        return PointMassData(torch.tensor(self.point, device=device))


class PointMassData:
    """One point (dim,), as often as asked for."""

    def __init__(self, point: Tensor):
        self.point = point

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """All batches are alike."""
        return repeat({"data": self.real(size)[rows]})

    def chunks(self, n: int) -> Iterator[Tensor]:
        """All n at once."""
        yield self.real(n)

    def real(self, n: int) -> Tensor:
        """(n, dim)."""
        return self.point.repeat(n, 1)

    def describe(self) -> str:
        """What it is."""
        return f"one point in {len(self.point)} dimensions"
