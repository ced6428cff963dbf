"""Historical averaging: the formula with the whole history written out."""

import pytest
import torch
from tiny_game import normal
from torch import nn

from gan_runner.terms.historical_averaging import HistoricalAveraging
from gan_runner.turn import Turn


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return {
        "one": nn.Linear(3, 2).double(),
        "two": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double(),
    }


def flat(networks):
    return torch.cat([p.detach().flatten() for network in networks.values() for p in network.parameters()])


def wander(networks):
    """Change the weights at random."""
    with torch.no_grad():
        for network in networks.values():
            for parameter in network.parameters():
                parameter += normal(*parameter.shape)


def turn_of(networks):
    return Turn(None, networks, tuple(networks), {})


def test_term_is_the_squared_distance_from_the_mean_of_the_past(networks):
    term, history = HistoricalAveraging(networks), []
    for _ in range(6):
        history.append(flat(networks))
        expected = (history[-1] - torch.stack(history).mean(0)).square().sum()
        torch.testing.assert_close(term(turn_of(networks)).detach(), expected)
        wander(networks)
    assert expected > 1


def test_first_move_has_zero_loss_and_gradient(networks):
    value = HistoricalAveraging(networks)(turn_of(networks))
    slopes = torch.autograd.grad(value, turn_of(networks).parameters)
    assert value.item() == 0
    assert all(slope.abs().max() == 0 for slope in slopes)


def test_no_gradient_flows_through_the_mean(networks):
    term, history = HistoricalAveraging(networks), []
    for _ in range(3):
        history.append(flat(networks))
        value = term(turn_of(networks))
        slopes = torch.autograd.grad(value, turn_of(networks).parameters)
        wander(networks)
    pull = torch.cat([slope.flatten() for slope in slopes])
    torch.testing.assert_close(pull, 2 * (history[-1] - torch.stack(history).mean(0)))


def test_the_averages_are_not_trained(networks):
    assert not any(p.requires_grad for p in HistoricalAveraging(networks).parameters())


def test_only_owned_networks_are_averaged(networks):
    owned = {"one": networks["one"]}
    term = HistoricalAveraging(owned)
    for _ in range(2):
        value = term(Turn(None, networks, ("one",), {}))
        wander({"two": networks["two"]})
    assert value.item() == 0


def test_state_survives_a_checkpoint(networks):
    term = HistoricalAveraging(networks)
    for _ in range(3):
        term(turn_of(networks))
        wander(networks)
    restored = HistoricalAveraging(networks)
    restored.load_state_dict(term.state_dict())
    for _ in range(3):
        value = term(turn_of(networks))
        torch.testing.assert_close(restored(turn_of(networks)), value, rtol=0, atol=0)
        wander(networks)
    assert value > 1
