"""A network that is a point: its output is its parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Point(nn.Module):
    """A point (dim,) of a player, in games where a sample is the points of both players, (2 · dim,).

    Args:
        shape: shape of one sample, (2 · dim,).
        start: initial position: `dim` numbers, or one for all.

    Raises:
        ValueError: samples are not vectors of even length, or `start` has another length.
    """

    def __init__(self, shape: tuple[int, ...], start: tuple[float, ...] = (1.0,)):
        super().__init__()
        if len(shape) != 1 or shape[0] % 2:
            raise ValueError(
                f"a point is half of a sample, but samples have shape {shape}; choose dataset=point_mass, or vectors "
                "of an even dimension"
            )
        dim = shape[0] // 2
        if len(start) not in (1, dim):
            raise ValueError(f"start={list(start)} must be {dim} numbers, half as many as a sample has, or one number")
        self.position = nn.Parameter(torch.tensor(start).expand(dim).clone())

    def forward(self) -> Tensor:
        """The position (dim,)."""
        return self.position
