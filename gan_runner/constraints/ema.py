"""A slowly moving copy of a player's networks, which samples are drawn from."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.tools.scheduled import Schedule, scheduled, value_of


class EMA(nn.Module):
    """θ̄ ← decay · θ̄ + (1 − decay) · θ after every update (Yazıcı et al. 2019, arXiv:1806.04498, Eq. 3).

    Buffers (batch norm's running statistics) are copied as they are. Samples, metrics and `gan-sample` use
    the averages where they exist.

    Args:
        networks: the player's networks.
        decay: per update, or its schedule over training steps; the memory is about 1 / (1 − decay) updates. Early on
            it is held down to (1 + t) / (10 + t), so that the average forgets the initialisation.
    """

    updates: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], decay: float | Schedule = 0.999):
        super().__init__()
        self.decay = scheduled(decay)
        if not 0 <= value_of(self.decay) < 1:
            raise ValueError(f"the decay of an average lies in [0, 1), not {value_of(self.decay):g}")
        self.sources = dict(networks)
        self.averages = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.averages.requires_grad_(False).eval()
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def forward(self) -> None:
        """Move the averages towards the present weights."""
        decay = ((1 + self.updates) / (10 + self.updates)).clamp(max=value_of(self.decay))
        self.updates += 1
        sources = nn.ModuleDict(self.sources)
        for average, parameter in zip(self.averages.parameters(), sources.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for kept, present in zip(self.averages.buffers(), sources.buffers(), strict=True):
            kept.copy_(present)
