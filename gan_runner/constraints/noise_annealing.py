"""Instance noise fades."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.models.layers.instance_noise import InstanceNoise
from gan_runner.players import phases_of


class NoiseAnnealing(nn.Module):
    """σ ← std · (1 − t / T) after the t-th of T updates, and zero from then on (Sønderby et al. 2017).

    Args:
        networks: the player's networks, all of whose instance noise is lowered.
        steps: training steps until there is none left.
        updates: of the player in each of them, or a table by step; T is the number of updates in all `steps`.
    """

    updates: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], steps: int, updates: int | Mapping[int, int] = 1):
        super().__init__()
        modules = [module for network in networks.values() for module in network.modules()]
        self.layers = [module for module in modules if isinstance(module, InstanceNoise)]
        if not self.layers:
            raise ValueError("there is no instance noise to lower; choose regularizer=[instance_noise]")
        if steps < 1:
            raise ValueError(f"instance noise fades over at least 1 step, not {steps}")
        phases = sorted(phases_of(updates).items())
        ends = [*(first for first, _ in phases[1:]), steps]
        self.total = sum(n * max(min(end, steps) - first, 0) for (first, n), end in zip(phases, ends))
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def forward(self) -> None:
        """Lower σ by one update's share."""
        self.updates += 1
        left = (1 - self.updates / self.total).clamp(min=0)
        for layer in self.layers:
            layer.sigma.copy_(left * layer.std)
