"""The adversarial terms: the loss of the turn's scores for the turn's player."""

import pytest
import torch
from tiny_game import normal, smooth_network, turn_of

from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.losses.energy import BEGAN, EBGAN
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.wasserstein import Wasserstein
from gan_runner.terms.adversarial import discriminator_loss, generator_loss

LOSSES = [Minimax(), NonSaturating(), Hinge(), LeastSquares(), Wasserstein(), EBGAN(), BEGAN()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


@every_loss
def test_the_discriminator_sees_fakes_without_a_graph(loss):
    turn = turn_of(smooth_network(3), normal(5, 3), normal(5, 3))
    value = discriminator_loss(turn, loss)
    (slope,) = torch.autograd.grad(value, turn.networks["generator"].parameters(), allow_unused=True)
    assert slope is None
    assert all(g is not None for g in torch.autograd.grad(discriminator_loss(turn, loss), turn.parameters))


@every_loss
def test_the_generator_computes_no_real_score(loss):
    turn = turn_of(smooth_network(3), normal(5, 3), normal(5, 3), owned=("generator",))
    value = generator_loss(turn, loss)
    assert not turn.computed("real_features", "real_scores")
    (slope,) = torch.autograd.grad(value, turn.parameters)
    assert slope.abs().sum() > 0


def test_hand_value():
    turn = turn_of(lambda x: x.sum(1), torch.tensor([[2.0], [4.0]]), torch.tensor([[1.0], [0.0]]))
    assert discriminator_loss(turn, Wasserstein()).item() == 0.5 - 3
    assert generator_loss(turn, Wasserstein()).item() == -0.5
