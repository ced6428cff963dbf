"""The hinge loss: the optimal score is a sign, and the minimal loss the overlap of the densities."""

import math

import pytest
import torch
from pointwise import P, Q, Scores, fake_slopes, optimal_scores, slopes

from gan_runner.losses.hinge import Hinge


@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_optimal_score_is_the_sign_of_the_difference(margin):
    optimum = optimal_scores(Hinge(margin), P, Q)
    torch.testing.assert_close(optimum, margin * (P - Q).sign())
    assert set(optimum.sign().tolist()) == {-1.0, 1.0}
    assert torch.equal(Hinge(margin).sign(optimum), (P - Q).sign())


@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_minimal_loss_is_the_overlap(margin):
    p, q = torch.tensor([5, 2, 1], dtype=torch.float64), torch.tensor([1, 1, 6], dtype=torch.float64)
    scores = optimal_scores(Hinge(margin), p, q)
    drawn = Scores(scores.repeat_interleave(p.long()), scores.repeat_interleave(q.long()))
    total_variation = (p / 8 - q / 8).abs().sum().item() / 2
    assert Hinge(margin).discriminator(drawn).item() == pytest.approx(2 * margin * (1 - total_variation))


def test_scores_beyond_the_margin_have_no_gradient():
    real, fake = slopes(Hinge(), torch.tensor([-100.0, -0.9, 0.9, 100.0]))
    assert real.tolist() == [-1, -1, -1, 0]
    assert fake.tolist() == [0, 1, 1, 1]


def test_generator_gradient_does_not_depend_on_the_score():
    assert fake_slopes(Hinge(), torch.tensor([-100.0, 0.0, 100.0])).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_margin_must_be_positive(margin):
    with pytest.raises(ValueError, match="must be positive"):
        Hinge(margin)
