"""The discriminator's loss in BEGAN, whose weight on the fakes is a controller's state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.losses.energy import BEGAN


class BoundaryEquilibrium(nn.Module):
    """E_p[L] − k E_q[L], and k moved towards the balance (Berthelot et al. 2017, arXiv:1703.10717, Section 3.4).

    k starts at 0. The fakes by which it moves are those of the discriminator's own turn, from the generator as it is.

    Args:
        networks: the player's networks.
        loss: the game.
    """

    balance: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], loss: BEGAN):
        super().__init__()
        self.loss = loss
        self.register_buffer("balance", torch.zeros(()))

    def forward(self, turn: GANTurn) -> Tensor:
        """The loss with the present k, a scalar; then k moves."""
        value = self.loss.discriminator(turn.scores, self.balance.clone())
        with torch.no_grad():
            turn.log("balance", self.balance.clone())
            turn.log("convergence", self.loss.convergence(turn.scores))
            self.balance.copy_(self.loss.next_balance(self.balance, turn.scores))
        return value
