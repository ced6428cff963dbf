"""The discriminator's loss of BEGAN, in which a controller sets the weight of the fakes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.losses.energy import BEGAN
from gan_runner.tools.formulas import formula


@formula(lambda term, symbols: symbols.loss(term.loss.discriminator))
class BoundaryEquilibrium(nn.Module):
    """E_p[L] − k E_q[L], where a controller updates k (Berthelot et al. 2017, arXiv:1703.10717, Section 3.4).

    k starts at 0. Its updates use the fakes of the discriminator's turn.

    Args:
        networks: the player's networks.
        loss: the loss, with the controller's target and gain.
    """

    balance: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], loss: BEGAN):
        super().__init__()
        self.loss = loss
        self.register_buffer("balance", torch.zeros(()))

    def forward(self, turn: GANTurn) -> Tensor:
        """The loss with the current k, a scalar; then update k."""
        value = self.loss.discriminator(turn.scores, self.balance.clone())
        with torch.no_grad():
            turn.log("balance", self.balance.clone())
            turn.log("convergence", self.loss.convergence(turn.scores))
            self.balance.copy_(self.loss.next_balance(self.balance, turn.scores))
        return value
