"""A network that is nothing but its parameters: a player's point in space."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Point(nn.Module):
    """A point (dim,), for games on points: two players share a sample of the data, half each.

    Args:
        shape: of one sample, (2 · dim,).
        start: where it begins: `dim` numbers, or one for all.

    Raises:
        ValueError: if a sample has no halves, or the start has another dimension.
    """

    def __init__(self, shape: tuple[int, ...], start: tuple[float, ...] = (1.0,)):
        super().__init__()
        if len(shape) != 1 or shape[0] % 2:
            raise ValueError(
                f"a point is half a sample, and data of shape {shape} has no halves; choose dataset=point_mass, or "
                "other points of an even dimension"
            )
        dim = shape[0] // 2
        if len(start) not in (1, dim):
            raise ValueError(f"start={list(start)} must be {dim} numbers, half as many as a sample has, or one for all")
        self.position = nn.Parameter(torch.tensor(start).expand(dim).clone())

    def forward(self) -> Tensor:
        """(dim,)."""
        return self.position
