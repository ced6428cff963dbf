"""A point mass: data without randomness."""

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
    """A Dirac distribution: every sample is the same point.

    Args:
        point: coordinates (dim,).

    Raises:
        ValueError: there are no coordinates, or one is not finite.
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
        """Return the data; there is no file to read."""
        return PointMassData(torch.tensor(self.point, device=device))


class PointMassData:
    """One point (dim,), repeated."""

    def __init__(self, point: Tensor):
        self.point = point

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield the same batch without end."""
        return repeat({"data": self.real(size)[rows]})

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield all n samples in one chunk."""
        yield self.real(n)

    def real(self, n: int) -> Tensor:
        """Return n copies of the point: (n, dim)."""
        return self.point.repeat(n, 1)

    def describe(self) -> str:
        """Describe the data."""
        return f"one point in {len(self.point)} dimensions"
