"""Mutual information between InfoGAN's codes and the samples."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.games.infogan import InfoGANTurn
from gan_runner.tools.formulas import formula


@formula("L_I", "L_I = E[log Q(c|{fake})] + H(c) ≤ I(c; {fake})")
def mutual_information(turn: InfoGANTurn) -> Tensor:
    """The bound L_I(G, Q) in nats, summed over all codes, to be maximised (Chen et al. 2016, arXiv:1606.03657, Eq. 5).

    It also logs the bound of each code.
    """
    for name, value in turn.information.items():
        turn.log(f"mutual_information_{name}", value)
    return torch.stack(list(turn.information.values())).sum()
