"""Historical averaging: a player's parameters stay near the average of their past values."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.tools.formulas import formula
from gan_runner.turn import Turn


@formula("‖θ − (1/t) Σᵢ θ[i]‖²", "θ[i]: the parameters of the player at its i-th update of t so far")
class HistoricalAveraging(nn.Module):
    """‖θ − (1/t) Σᵢ θ[i]‖² over the moves so far (Salimans et al. 2016, arXiv:1606.03498, Section 3.3).

    No gradient flows through the average. At the first move the average is θ itself, so the term starts at zero.

    Args:
        networks: the player's networks, whose parameters are averaged.
    """

    moves: Tensor

    def __init__(self, networks: Mapping[str, nn.Module]):
        super().__init__()
        parameters = [p for network in networks.values() for p in network.parameters()]
        self.register_buffer("moves", torch.zeros(()))
        self.averages = nn.ParameterList(nn.Parameter(torch.zeros_like(p), requires_grad=False) for p in parameters)

    def forward(self, turn: Turn) -> Tensor:
        """Add the current parameters to the average; return their squared distance from it, a scalar."""
        with torch.no_grad():
            self.moves += 1
            for average, parameter in zip(self.averages, turn.parameters, strict=True):
                average += (parameter - average) / self.moves
        distances = [(p - a).square().sum() for p, a in zip(turn.parameters, self.averages, strict=True)]
        return torch.stack(distances).sum()
