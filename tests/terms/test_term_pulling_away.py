"""The pulling-away term: cosines, written out."""

import pytest
import torch
from tiny_game import normal, turn_of
from torch import nn

from gan_runner.terms.pulling_away import pulling_away


class Featured(nn.Module):
    def features(self, x):
        return x


def pulled(fake):
    return pulling_away(turn_of(Featured(), normal(3, fake.shape[1]), fake, owned=("generator",)))


def test_term_is_zero_for_orthogonal_features_and_one_for_parallel_ones():
    assert pulled(torch.diag(torch.tensor([1.0, 2.0, 3.0]))).item() == pytest.approx(0)
    assert pulled(torch.tensor([[1.0, 2.0], [2.0, 4.0], [-3.0, -6.0]])).item() == pytest.approx(1)


def test_it_is_the_mean_squared_cosine_of_different_samples():
    fake = normal(6, 4)
    pairs = [torch.cosine_similarity(fake[i], fake[j], dim=0) ** 2 for i in range(6) for j in range(6) if i != j]
    torch.testing.assert_close(pulled(fake).detach(), torch.stack(pairs).mean())


def test_lengths_do_not_matter():
    fake = normal(6, 4)
    torch.testing.assert_close(pulled(fake * (1 + torch.rand(6, 1))), pulled(fake))


def test_zero_features_have_finite_gradients():
    fake = normal(4, 3)
    fake[0] = 0
    turn = turn_of(Featured(), normal(3, 3), fake, owned=("generator",))
    (slope,) = torch.autograd.grad(pulling_away(turn), turn.parameters)
    assert slope.isfinite().all()
    assert slope.abs().sum() > 0
