"""What every loss keeps to."""

import dataclasses

import pytest
import torch
from pointwise import OnlyFake, Scores

from gan_runner.losses import BEGAN, EBGAN, Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein

LOSSES = [Minimax(), NonSaturating(0.9, 0.1), Hinge(), LeastSquares(), Wasserstein(), EBGAN(), BEGAN()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


@every_loss
def test_generator_never_asks_for_real_scores(loss):
    assert loss.generator(OnlyFake(torch.randn(5))).isfinite()


@every_loss
def test_losses_are_means_over_each_set(loss):
    real, fake = torch.randn(6, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    once, twice = Scores(real, fake), Scores(real.repeat(2).flip(0), fake.repeat(3).flip(0))
    torch.testing.assert_close(loss.discriminator(twice), loss.discriminator(once))
    torch.testing.assert_close(loss.generator(twice), loss.generator(once))


@every_loss
def test_both_players_want_the_opposite_of_the_same_fake(loss):
    scores = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(7, dtype=torch.float64)
    (lowers,) = torch.autograd.grad(loss.discriminator(Scores(zeros, scores.clamp(min=0.2))), scores)
    (raises,) = torch.autograd.grad(loss.generator(OnlyFake(scores)), scores)
    assert (lowers[scores > 0.2] > 0).all()
    assert (raises < 0).all()


@every_loss
def test_log_ratio_is_offered_where_the_ratio_is_identified(loss):
    assert hasattr(loss, "log_ratio") == (loss.identifies == "ratio")


@every_loss
def test_losses_are_values(loss):
    for field in dataclasses.fields(loss):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(loss, field.name, 0.5)
    assert loss == dataclasses.replace(loss)
