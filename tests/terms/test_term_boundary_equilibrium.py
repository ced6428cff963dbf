"""BEGAN's term: the recursion of the paper, written out, and its state."""

import pytest
import torch
from tiny_game import turn_of

from gan_runner.losses.energy import BEGAN
from gan_runner.terms.boundary_equilibrium import BoundaryEquilibrium


def turn(real, fake):
    """The discriminator's turn; the energy of a point is its value times a trainable weight."""
    return turn_of(lambda x: -x[:, 0], torch.tensor([[real]]), torch.tensor([[fake]]))


def test_balance_follows_the_recursion_of_the_paper():
    loss = BEGAN(diversity=0.5, gain=0.1)
    term, k = BoundaryEquilibrium({}, loss), 0.0
    for real, fake in [(2.0, 0.2), (1.8, 0.3), (1.5, 0.9), (1.0, 3.0), (1.0, 9.0), (4.0, 0.1)]:
        seen = turn(real, fake)
        assert term(seen).item() == pytest.approx(real - k * fake, abs=1e-6)
        assert seen.report()["balance"].item() == pytest.approx(k, abs=1e-6)
        assert seen.report()["convergence"].item() == pytest.approx(real + abs(0.5 * real - fake), abs=1e-6)
        k = min(1.0, max(0.0, k + 0.1 * (0.5 * real - fake)))
    assert k > 0


def test_slope_on_the_fakes_is_the_balance():
    term = BoundaryEquilibrium({}, BEGAN())
    term.balance.fill_(0.25)
    weight = torch.ones((), requires_grad=True)
    seen = turn_of(lambda x: -weight * x[:, 0], torch.tensor([[2.0]]), torch.tensor([[4.0]]))
    (slope,) = torch.autograd.grad(term(seen), weight)  # after the balance has moved
    assert slope.item() == pytest.approx(2 - 0.25 * 4)


def test_state_survives_a_checkpoint():
    term, restored = (BoundaryEquilibrium({}, BEGAN(gain=0.1)) for _ in range(2))
    term(turn(2.0, 0.2))
    restored.load_state_dict(term.state_dict())
    assert restored.balance == term.balance > 0
