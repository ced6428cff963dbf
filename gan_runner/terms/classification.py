"""The critic also tells the condition, and the generator makes it easy (Odena et al. 2017, arXiv:1610.09585, Eq. 3)."""

from __future__ import annotations

from torch import Tensor

from gan_runner.games.conditional import ConditionalTurn


def classification(turn: ConditionalTurn) -> Tensor:
    """−E[log P(c|x)] of data and of fakes, in nats, each for the condition that it has or was made for."""
    return surprise(turn, turn.real_features) + surprise(turn, turn.fake_features)


def fake_classification(turn: ConditionalTurn) -> Tensor:
    """−E[log P(c|G(z, c))] of fakes, in nats."""
    return surprise(turn, turn.fake_features)


def surprise(turn: ConditionalTurn, features: Tensor) -> Tensor:
    """−E[log P(c|x)] of samples with these features (n, num_features), a scalar."""
    return turn.networks["condition"].negative_log_likelihood(turn.classify(features), turn.condition).mean()  # type: ignore[operator]
