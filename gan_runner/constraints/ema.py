"""A slowly moving copy of a player's networks, which samples are drawn from."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn


class EMA(nn.Module):
    """θ̄ ← decay · θ̄ + (1 − decay) · θ after every update (Yazıcı et al. 2019, arXiv:1806.04498, Eq. 3).

    Buffers (batch norm's running statistics) are copied as they are. Samples, metrics and `gan-sample` use
    the averages where they exist.

    Args:
        networks: the player's networks.
        decay: per update; the memory is about 1 / (1 − decay) updates. Early on it is held down to
            (1 + t) / (10 + t), so that the average forgets the initialisation.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float = 0.999):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of an average lies in [0, 1), not {decay}")
        self.decay = decay
        self.sources = dict(networks)
        self.averages = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.averages.requires_grad_(False).eval()
        self.updates = 0

    @torch.no_grad()
    def forward(self) -> None:
        """Move the averages towards the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        sources = nn.ModuleDict(self.sources)
        torch._foreach_lerp_(list(self.averages.parameters()), list(sources.parameters()), 1 - decay)
        for kept, present in zip(self.averages.buffers(), sources.buffers(), strict=True):
            kept.copy_(present)

    def get_extra_state(self) -> dict[str, int]:
        """How many updates were averaged."""
        return {"updates": self.updates}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on counting from there."""
        self.updates = state["updates"]
