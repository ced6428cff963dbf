"""Dropout."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.tools import per_sample


class Dropout(nn.Dropout):
    """torch's, and the same however many processes share a batch: (n, …) → (n, …)."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros with probability p while training, and everything else divided by 1 − p."""
        return per_sample.dropout(x, self.p) if self.training else x
