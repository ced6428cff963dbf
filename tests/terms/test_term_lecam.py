"""LeCam regularisation: the penalty with its averages written out; no gradient flows through them."""

import pytest
import torch
from tiny_game import normal, turn_of

from gan_runner.terms.lecam import LeCam


def scored(real, fake):
    """A turn in which the score of a sample (n, 1) is the sample itself."""
    return turn_of(lambda x: x[:, 0], real, fake)


def average(means, decay):
    """The t-th of t moves with weight 1, the one before with weight decay, and so on."""
    weights = decay ** torch.arange(len(means) - 1, -1, -1, dtype=torch.float64)
    return (weights * torch.stack(means)).sum() / weights.sum()


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.99])
def test_penalty_is_the_distance_from_the_averages_of_the_other_kind(decay):
    term, reals, fakes = LeCam({}, decay).double(), [], []
    for _ in range(8):
        real, fake = normal(6, 1) + 1, normal(6, 1) - 1
        reals.append(real.mean()), fakes.append(fake.mean())
        value = term(scored(real, fake))
        expected = (real - average(fakes, decay)).square().mean() + (fake - average(reals, decay)).square().mean()
        torch.testing.assert_close(value.detach(), expected)


def test_no_gradient_flows_through_the_averages():
    term, weight = LeCam({}).double(), torch.ones((), dtype=torch.float64, requires_grad=True)
    real, fake = normal(6, 1), normal(6, 1)
    value = term(turn_of(lambda x: weight * x[:, 0], real, fake))
    (slope,) = torch.autograd.grad(value, weight)
    expected = 2 * (real * (real - fake.mean())).mean() + 2 * (fake * (fake - real.mean())).mean()
    torch.testing.assert_close(slope, expected)


def test_a_constant_critic_has_no_penalty():
    term = LeCam({}).double()
    for _ in range(3):
        assert term(turn_of(lambda x: 0 * x[:, 0] + 5, normal(4, 1), normal(4, 1))).item() == pytest.approx(0)


def test_state_survives_a_checkpoint():
    term, restored = LeCam({}), LeCam({})
    for _ in range(3):
        term(scored(torch.randn(4, 1), torch.randn(4, 1)))
    restored.load_state_dict(term.state_dict())
    turn = scored(torch.randn(4, 1), torch.randn(4, 1))
    assert torch.equal(restored(turn), term(turn))


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\)"):
        LeCam({}, decay)
