"""Dropout."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout

from gan_runner.distributed.sharding import present, share, whole


class Dropout(nn.Dropout):
    """torch's; where processes share a batch, each takes its rows of the mask of the whole: (n, …) → (n, …)."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros with probability p while training, and everything else divided by 1 − p."""
        if present.count == 1 or not self.training:
            return super().forward(x)
        return x * share(dropout(x.new_ones(whole(len(x)), *x.shape[1:]), self.p))
