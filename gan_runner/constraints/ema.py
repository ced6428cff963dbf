"""Exponential moving average of a player's weights, which samples are drawn from."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.tools.formulas import Symbols, formula, number
from gan_runner.tools.scheduled import Schedule, scheduled, value_of


def averaged(constraint: EMA, symbols: Symbols) -> str:
    """The formula of the average."""
    updates = f"t updates of {', '.join(constraint.sources)}"
    symbols.define(f"a = min({number(constraint.decay)}, (1 + t)/(10 + t)) after {updates}")
    return "θ̄ ← a θ̄ + (1 − a) θ"


@formula(averaged)
class EMA(nn.Module):
    """θ̄ ← decay · θ̄ + (1 − decay) · θ after every update (Yazıcı et al. 2019, arXiv:1806.04498, Eq. 3).

    Buffers (batch norm's running statistics) are copied without averaging. Samples, metrics and `gan-sample` use the
    averages.

    Args:
        networks: the player's networks.
        decay: the decay per update, or its schedule over training steps; the average spans about 1 / (1 − decay)
            updates. After t updates it is at most (1 + t) / (10 + t), so that the average forgets the initialisation.
    """

    updates: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], decay: float | Schedule = 0.999):
        super().__init__()
        self.decay = scheduled(decay)
        if not 0 <= value_of(self.decay) < 1:
            raise ValueError(f"the decay of an average must lie in [0, 1), not {value_of(self.decay):g}")
        self.sources = dict(networks)
        self.averages = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.averages.requires_grad_(False).eval()
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def forward(self) -> None:
        """Update the averages with the current weights."""
        decay = ((1 + self.updates) / (10 + self.updates)).clamp(max=value_of(self.decay))
        self.updates += 1
        sources = nn.ModuleDict(self.sources)
        for average, parameter in zip(self.averages.parameters(), sources.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for averaged, buffer in zip(self.averages.buffers(), sources.buffers(), strict=True):
            averaged.copy_(buffer)
