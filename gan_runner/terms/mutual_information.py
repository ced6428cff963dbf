"""What samples tell of the codes they were made from."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.games.infogan import InfoGANTurn


def mutual_information(turn: InfoGANTurn) -> Tensor:
    """L_I(G, Q) in nats, the sum over all codes, to be made large (Chen et al. 2016, arXiv:1606.03657, Eq. 5).

    That of each code is logged beside it.
    """
    for name, value in turn.information.items():
        turn.log(f"mutual_information_{name}", value)
    return torch.stack(list(turn.information.values())).sum()
