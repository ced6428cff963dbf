"""The maxout layer."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.models.sizes import at_least_one
from gan_runner.tools.formulas import formula


@formula("max over {pieces} pieces of W_k h + b_k")
class Maxout(nn.Module):
    """The elementwise maximum of `pieces` linear maps: (n, in_features) → (n, out_features).

    Goodfellow et al. 2013, arXiv:1302.4389, Section 3.
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 5):
        super().__init__()
        at_least_one(out_features=out_features, pieces=pieces)
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """The maximum over the pieces."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)
