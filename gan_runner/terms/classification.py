"""Auxiliary classifier: the critic predicts the condition of real samples and fakes.

Odena et al. 2017, arXiv:1610.09585, Eq. 3: the generator minimises the classification error of its fakes, too.
"""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.conditional import ConditionalTurn
from gan_runner.tools.formulas import formula


@formula("−E[log P({condition}|{real})] − E[log P({condition}|{fake})]")
def classification(turn: ConditionalTurn) -> Tensor:
    """−E[log P(c|x)] of real samples plus that of fakes, in nats."""
    return cross_entropy(turn, turn.real_features) + cross_entropy(turn, turn.fake_features)


@formula("−E[log P({condition}|{fake})]")
def fake_classification(turn: ConditionalTurn) -> Tensor:
    """−E[log P(c|G(z, c))] of fakes, in nats."""
    return cross_entropy(turn, turn.fake_features)


def cross_entropy(turn: ConditionalTurn, features: Tensor) -> Tensor:
    """−E[log P(c|x)] in nats, a scalar, of samples with these features (n, num_features)."""
    return turn.networks["condition"].negative_log_likelihood(turn.classify(features), turn.condition).mean()
