"""The adversarial game: what a turn computes, when, and with which graph."""

import pytest
import torch
from conftest import TINY


@pytest.fixture
def parts(make_parts):
    return make_parts("dataset=ring8", "model=mlp", *TINY["mlp"])


def turn_of(parts, *owned):
    return parts.game.turn(parts.networks, owned, {"data": torch.randn(5, 2)})


def test_a_quantity_is_computed_when_asked_for_and_once(parts):
    turn = turn_of(parts, "generator")
    assert "fake" not in turn.__dict__
    first = turn.fake
    assert turn.fake is first
    assert "real_scores" not in turn.__dict__
    assert turn.report() == {}
    turn.scores.fake.sum()
    assert "real_scores" not in turn.__dict__  # a loss does not pay for what it does not read
    assert set(turn.report()) == {"fake_scores"}


def test_only_what_the_player_owns_is_recorded(parts):
    mine = turn_of(parts, "discriminator")
    assert not mine.fake.requires_grad
    assert mine.real_scores.requires_grad
    assert mine.fake_scores.requires_grad
    mine = turn_of(parts, "generator")
    assert mine.fake.requires_grad
    assert not mine.real_scores.requires_grad
    assert mine.fake_scores.requires_grad


def test_scores_are_the_critics_of_the_same_points(parts):
    turn = turn_of(parts, "discriminator")
    assert torch.equal(turn.real_scores, parts.networks["discriminator"](turn.real))
    assert torch.equal(turn.critic(turn.fake), turn.fake_scores)


def test_sampling_leaves_networks_and_random_numbers_as_they_were(make_parts):
    parts = make_parts(*TINY["dcgan"])
    before = {name: value.clone() for name, value in parts.networks["generator"].state_dict().items()}
    state = torch.get_rng_state()
    noise = parts.noise(20, seed=3)
    together, apart = parts.sample(noise), torch.cat([parts.sample(part) for part in noise.split(7)])
    assert torch.allclose(together, apart, atol=1e-6)  # running statistics: no sample sees another
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in parts.networks["generator"].state_dict().items())
    assert parts.networks["generator"].training


def test_samples_come_from_the_average_where_there_is_one(make_parts):
    parts = make_parts("regularizer=[ema]", *TINY["dcgan"])
    noise = parts.noise(4, seed=0)
    before = parts.sample(noise)
    with torch.no_grad():
        for parameter in parts.networks["generator"].parameters():
            parameter.add_(1)
    assert torch.equal(parts.sample(noise), before)
