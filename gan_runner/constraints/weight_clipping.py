"""Weight clipping."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gan_runner.models.networks import is_scored
from gan_runner.tools.formulas import formula


@formula("θ ← clip(θ, −{bound}, {bound})")
class WeightClipping(nn.Module):
    """w ← clip(w, −bound, bound) after every update (Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1).

    Args:
        networks: the player's networks; those with a score are clipped, with all of their parameters.
        bound: the paper's c.
    """

    def __init__(self, networks: Mapping[str, nn.Module], bound: float = 0.01):
        super().__init__()
        if bound <= 0:
            raise ValueError(f"the bound of weight clipping must be positive, not {bound}")
        self.bound = bound
        scored = [network for network in networks.values() if is_scored(network)]
        self.clipped: list[torch.Tensor] = [p for network in scored for p in network.parameters()]

    @torch.no_grad()
    def forward(self) -> None:
        """Clip the parameters in place."""
        for parameter in self.clipped:
            parameter.clamp_(-self.bound, self.bound)
