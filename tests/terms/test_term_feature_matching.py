"""Feature matching compares means of features, and trains the generator alone."""

import pytest
import torch
from tiny_game import normal, smooth_network, turn_of
from torch import nn

from gan_runner.terms.feature_matching import feature_matching


class Featured(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def features(self, x):
        return self.body(x)

    def score(self, features):
        raise AssertionError("the scores were computed for nothing")


def matching(real, fake):
    return feature_matching(turn_of(Featured(nn.Identity()), real, fake, owned=("generator",)))


def test_identical_batches_match():
    x = normal(6, 4)
    assert matching(x, x).item() == 0
    assert matching(x, x.flip(0)).item() == pytest.approx(0, abs=1e-30)


def test_hand_value():
    real = torch.tensor([[0.0, 4.0], [2.0, 0.0]])  # mean (1, 2)
    fake = torch.tensor([[3.0, 6.0], [3.0, 4.0]])  # mean (3, 5)
    assert matching(real, fake).item() == (2**2 + 3**2) / 2


def test_only_means_are_compared():
    real = normal(8, 3)
    spread = real.mean(0) + 10 * (real - real.mean(0))
    assert matching(real, spread).item() == pytest.approx(0, abs=1e-25)
    torch.testing.assert_close(matching(real, real + 2), torch.tensor(4.0, dtype=torch.float64))


def test_only_the_generator_gets_gradients():
    critic = Featured(smooth_network(3)[:-2])
    turn = turn_of(critic, normal(5, 3), normal(5, 3), owned=("generator",))
    (slope,) = torch.autograd.grad(feature_matching(turn), turn.parameters)
    assert slope.abs().sum() > 0
    assert not turn.real_features.requires_grad
