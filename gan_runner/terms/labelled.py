"""The classification loss on labelled samples."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_runner.games.semi_supervised import SemiSupervisedTurn
from gan_runner.tools.formulas import formula


@formula("−E[log P({labelled_label}|{labelled})]", "{labelled}, {labelled_label}: data whose labels are known")
def labelled_classification(turn: SemiSupervisedTurn) -> Tensor:
    """−E[log p(y | x, y ≤ K)] of labelled samples, in nats (Salimans et al. 2016, arXiv:1606.03498, Section 5)."""
    return cross_entropy(turn.labelled_logits, turn.labelled_label)
