"""Energy-based losses: optimal energies, and the controller of BEGAN."""

import math

import pytest
import torch
from pointwise import P, Q, Scores, fake_slopes

from gan_runner.losses.energy import BEGAN, EBGAN


def optimal_energies(loss, p, q):
    """The energy (n,) in [0, 2 m] at each point that minimises the discriminator's loss."""
    energies = torch.linspace(0, 2 * loss.margin, 201, dtype=torch.float64)
    nothing = torch.zeros(1, dtype=torch.float64)
    alone = loss.discriminator(Scores(nothing, -loss.margin * torch.ones(1)))
    of_real = torch.stack([loss.discriminator(Scores(-e[None], -loss.margin * torch.ones(1))) for e in energies])
    of_fake = torch.stack([loss.discriminator(Scores(nothing, -e[None])) for e in energies])
    cost = p[:, None] * (of_real - alone) + q[:, None] * (of_fake - alone)
    return energies[cost.argmin(1)]


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_optimal_energy_is_zero_for_data_and_the_margin_for_fakes(margin):
    loss = EBGAN(margin)
    energies = optimal_energies(loss, P, Q)
    torch.testing.assert_close(energies, margin * (Q > P).double())
    assert torch.equal(loss.sign(-energies), torch.sign(P - Q))


@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_minimal_loss_gives_the_total_variation(margin):
    p, q = torch.tensor([5, 2, 1], dtype=torch.float64), torch.tensor([1, 1, 6], dtype=torch.float64)
    scores = -optimal_energies(EBGAN(margin), p, q)
    drawn = Scores(scores.repeat_interleave(p.long()), scores.repeat_interleave(q.long()))
    truth = (p / 8 - q / 8).abs().sum().item() / 2
    assert EBGAN(margin).total_variation(drawn).item() == pytest.approx(truth)
    for _ in range(20):  # which no other energies exceed
        other = -3 * margin * torch.rand(3, dtype=torch.float64)
        drawn = Scores(other.repeat_interleave(p.long()), other.repeat_interleave(q.long()))
        assert EBGAN(margin).total_variation(drawn).item() <= truth


def test_fakes_beyond_the_margin_give_the_critic_no_gradient():
    fake = torch.tensor([-2.0, -0.5], requires_grad=True)
    (slope,) = torch.autograd.grad(EBGAN(1.0).discriminator(Scores(torch.zeros(2), fake)), fake)
    assert slope.tolist() == [0, 0.5]


def test_generator_minimises_the_energy():
    for loss in (EBGAN(), BEGAN()):
        assert fake_slopes(loss, torch.tensor([-9.0, 0.0])).tolist() == [-1, -1]


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_margin_must_be_positive(margin):
    with pytest.raises(ValueError, match="must be positive"):
        EBGAN(margin)


def scores_of(real, fake):
    """Scores of constant energies."""
    return Scores(-torch.full((3,), real), -torch.full((2,), fake))


def test_hand_values():
    loss, scores = BEGAN(diversity=0.5, gain=0.1), scores_of(2.0, 0.5)
    assert loss.discriminator(scores, 0.4).item() == pytest.approx(2 - 0.4 * 0.5)
    assert loss.imbalance(scores).item() == pytest.approx(0.5 * 2 - 0.5)
    assert loss.next_balance(torch.tensor(0.4), scores).item() == pytest.approx(0.4 + 0.1 * 0.5)
    assert loss.convergence(scores).item() == pytest.approx(2 + 0.5)


@pytest.mark.parametrize("diversity", [0.3, 0.5, 1.0])
def test_balance_is_stationary_at_the_target_ratio(diversity):
    loss = BEGAN(diversity)
    balance = torch.tensor(0.37)
    assert loss.next_balance(balance, scores_of(2.0, diversity * 2)).item() == pytest.approx(0.37)
    assert loss.next_balance(balance, scores_of(2.0, diversity * 2 - 0.1)) > balance
    assert loss.next_balance(balance, scores_of(2.0, diversity * 2 + 0.1)) < balance
    assert loss.convergence(scores_of(2.0, diversity * 2)).item() == pytest.approx(2.0)  # the energy of the data alone


def test_balance_stays_between_zero_and_one():
    loss = BEGAN(gain=100.0)
    assert loss.next_balance(torch.tensor(0.5), scores_of(2.0, 0.0)) == 1
    assert loss.next_balance(torch.tensor(0.5), scores_of(0.0, 2.0)) == 0


@pytest.mark.parametrize("options", [{"diversity": 0.0}, {"diversity": 1.5}, {"gain": 0.0}, {"gain": math.nan}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"diversity must be above|gain must be positive"):
        BEGAN(**options)
