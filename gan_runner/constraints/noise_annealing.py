"""Instance noise fades."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from gan_runner.models.layers import InstanceNoise


class NoiseAnnealing(nn.Module):
    """σ ← std · (1 − t / T) after the t-th of T updates, and zero from then on (Sønderby et al. 2017).

    Args:
        networks: the player's networks, all of whose instance noise is lowered.
        steps: training steps until there is none left.
        updates: of the player in each of them, so that T = steps · updates.
    """

    def __init__(self, networks: Mapping[str, nn.Module], steps: int, updates: int = 1):
        super().__init__()
        modules = [module for network in networks.values() for module in network.modules()]
        self.layers = [module for module in modules if isinstance(module, InstanceNoise)]
        if not self.layers:
            raise ValueError("there is no instance noise to lower; choose regularizer=[instance_noise]")
        if steps < 1:
            raise ValueError(f"instance noise fades over at least 1 step, not {steps}")
        self.total = steps * updates
        self.updates = 0

    def forward(self) -> None:
        """Lower σ by one update's share."""
        self.updates += 1
        left = max(0.0, 1 - self.updates / self.total)
        for layer in self.layers:
            layer.sigma.fill_(left * layer.std)

    def get_extra_state(self) -> dict[str, int]:
        """How many updates there were."""
        return {"updates": self.updates}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on counting from there."""
        self.updates = state["updates"]
