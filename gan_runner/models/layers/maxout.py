"""Maxout."""

from __future__ import annotations

from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of `pieces` linear maps of the input, unit by unit (Goodfellow et al. 2013, arXiv:1302.4389, Eq. 1).

    (n, in_features) → (n, out_features).
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 5):
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """The maximum over the pieces."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)
