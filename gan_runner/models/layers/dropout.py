"""Dropout that does not depend on the number of processes."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula


@formula("h m / (1 − {p}), m = 0 with probability {p}")
class Dropout(nn.Dropout):
    """Dropout (n, …) → (n, …) that draws the same mask on any number of processes."""

    def forward(self, x: Tensor) -> Tensor:
        """In training mode, set elements to zero with probability p and divide the others by 1 − p."""
        return per_sample.dropout(x, self.p) if self.training else x
