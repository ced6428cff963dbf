"""The adversarial game: the quantities of a turn, when they are computed, and their graphs."""

import pytest
import torch
from conftest import TINY


@pytest.fixture
def system(make_system):
    return make_system("dataset=ring8", "model=mlp", *TINY["mlp"])


def turn_of(system, *owned):
    return system.game.turn(system.networks, owned, {"data": torch.randn(5, 2)})


def test_a_quantity_is_computed_on_first_use_and_once(system):
    turn = turn_of(system, "generator")
    assert not turn.computed("fake")
    first = turn.fake
    assert turn.fake is first
    assert not turn.computed("real_scores")
    assert turn.report() == {}
    turn.scores.fake.sum()
    assert not turn.computed("real_scores")  # a loss does not pay for what it does not read
    assert set(turn.report()) == {"fake_scores"}


def test_only_owned_networks_record_gradients(system):
    mine = turn_of(system, "discriminator")
    assert not mine.fake.requires_grad
    assert mine.real_scores.requires_grad
    assert mine.fake_scores.requires_grad
    mine = turn_of(system, "generator")
    assert mine.fake.requires_grad
    assert not mine.real_scores.requires_grad
    assert mine.fake_scores.requires_grad


def test_scores_equal_the_critic_at_the_same_points(system):
    turn = turn_of(system, "discriminator")
    assert torch.equal(turn.real_scores, system.networks["discriminator"](turn.real))
    assert torch.equal(turn.critic(turn.fake), turn.fake_scores)


def test_sampling_changes_neither_networks_nor_the_random_state(make_system):
    system = make_system("model=dcgan", *TINY["dcgan"])
    before = {name: value.clone() for name, value in system.networks["generator"].state_dict().items()}
    state = torch.get_rng_state()
    noise = system.noise(20, seed=3)
    together, apart = system.sample(noise), torch.cat([system.sample(part) for part in noise.split(7)])
    assert torch.allclose(together, apart, atol=1e-6)  # with running statistics, samples do not influence each other
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in system.networks["generator"].state_dict().items())
    assert system.networks["generator"].training


def test_samples_come_from_averaged_weights(make_system):
    system = make_system("regularizer=[ema]", "model=dcgan", *TINY["dcgan"])
    noise = system.noise(4, seed=0)
    before = system.sample(noise)
    with torch.no_grad():
        for parameter in system.networks["generator"].parameters():
            parameter.add_(1)
    assert torch.equal(system.sample(noise), before)
