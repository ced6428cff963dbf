"""Annealing of instance noise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.models.layers.instance_noise import InstanceNoise
from gan_runner.players import phases_of
from gan_runner.tools.formulas import formula


@formula("σ ← σ₀ max(0, 1 − t / {total}) after t updates")
class NoiseAnnealing(nn.Module):
    """σ ← std · (1 − t / T) after the t-th of T updates, and zero from then on (Sønderby et al. 2017).

    Args:
        networks: the player's networks, whose instance noise is annealed.
        steps: the training steps until the noise is zero.
        updates: the player's updates in each training step, or a table by step; T is the total over all `steps`.
    """

    updates: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], steps: int, updates: int | Mapping[int, int] = 1):
        super().__init__()
        modules = [module for network in networks.values() for module in network.modules()]
        self.layers = [module for module in modules if isinstance(module, InstanceNoise)]
        if not self.layers:
            raise ValueError("noise annealing needs instance noise; choose regularizer=[instance_noise]")
        if steps < 1:
            raise ValueError(f"the steps of noise annealing must be at least 1, not {steps}")
        phases = sorted(phases_of(updates).items())
        ends = [*(first for first, _ in phases[1:]), steps]
        self.total = sum(n * max(min(end, steps) - first, 0) for (first, n), end in zip(phases, ends))
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def forward(self) -> None:
        """Lower σ by std / T."""
        self.updates += 1
        left = (1 - self.updates / self.total).clamp(min=0)
        for layer in self.layers:
            layer.sigma.copy_(left * layer.std)
