"""LeCam regularisation: scores of real samples stay near past scores of fakes, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.tools.formulas import formula


@formula(
    "E[({real_scores} − α_F)²] + E[({fake_scores} − α_R)²]",
    "α_F, α_R: averages over updates of E[{fake_scores}] and E[{real_scores}], decay {decay}",
)
class LeCam(nn.Module):
    """E_p[(D(x) − α_F)²] + E_q[(D(x) − α_R)²] (Tseng et al. 2021, arXiv:2104.03310).

    α_F and α_R are moving averages of the mean scores of fakes and of real samples, including this batch and corrected
    for their start at zero; no gradient flows through them. This is the paper's equation; the authors' code squares
    only the positive part of D(x) − α_F and of α_R − D(x).

    Args:
        networks: the player's networks; unused, since the turn has the scores.
        decay: the decay of the averages per move.
    """

    moves: Tensor
    real: Tensor
    fake: Tensor

    def __init__(self, networks: Mapping[str, nn.Module], decay: float = 0.99):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of an average must lie in [0, 1), not {decay}")
        self.decay = decay
        for name in ("moves", "real", "fake"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, turn: GANTurn) -> Tensor:
        """Add this batch's scores to the averages; return the sum of both mean squares, a scalar."""
        scores = turn.scores
        with torch.no_grad():
            self.moves += 1
            share = (1 - self.decay) / (1 - self.decay**self.moves)
            self.real += share * (scores.real.mean() - self.real)
            self.fake += share * (scores.fake.mean() - self.fake)
        return (scores.real - self.fake).square().mean() + (scores.fake - self.real).square().mean()
