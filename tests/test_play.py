"""Ways to play a step: who sees what, how often, and what acts once."""

import itertools

import pytest
import torch
from conftest import TINY, names_in
from torch import nn

from gan_runner.step import extragradient, simultaneous

SMALL = ["dataset=ring8", "model=mlp", *TINY["mlp"]]


def data(generator=None):
    """The same batch for ever, or new ones."""
    for _ in itertools.count():
        yield {"data": torch.ones(4, 2) if generator is None else torch.randn(4, 2, generator=generator)}


def same_noise(parts):
    """Every turn sees the same noise, so that a move depends on the point alone."""
    for player in parts.players:
        player.gradients = seeded(player.gradients)
    return parts


def seeded(function):
    def call(*arguments):
        torch.manual_seed(7)
        return function(*arguments)

    return call


def state(parts):
    return {name: value.clone() for name, value in nn.ModuleDict(parts.networks).state_dict().items()}


def test_at_once_means_that_the_order_does_not_matter(make_parts):
    ends = []
    for order in (1, -1):
        parts = same_noise(make_parts(*SMALL, "players.generator.fresh_batches=true"))
        for _ in range(3):
            simultaneous(parts.players[::order], data())
        ends.append(state(parts))
    first, second = ends
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_if_the_step_ahead_goes_nowhere_it_is_simultaneous_play(make_parts):
    ends = []
    for play in (simultaneous, extragradient):
        parts = same_noise(make_parts(*SMALL, "optimizer=sgd", "optimizer.momentum=0"))
        if play is extragradient:
            for player in parts.players:
                player.step, step = lambda gradients: None, player.step
                player.descend = step
        play(parts.players, data())
        ends.append(state(parts))
    first, second = ends
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_step_ahead_is_taken_back_exactly(make_parts):
    parts = make_parts(*SMALL, "optimizer=adam", "optimizer.lr=1.0")
    for player in parts.players:
        player.descend = lambda gradients: None
    before = state(parts)
    extragradient(parts.players, data())
    after = state(parts)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # here no optimizer steps
@pytest.mark.parametrize(("play", "drawn"), [("alternating", 5), ("simultaneous", 5), ("extragradient", 6)])
def test_critic_moves_as_often_as_configured(make_parts, play, drawn):
    parts = make_parts(*SMALL, "loss=wgan", f"play={play}")
    assert parts.players[0].updates == 5
    moved, batches = [], itertools.count()
    for player in parts.players:
        player.descend = lambda gradients, name=player.name: moved.append(name)
    parts.play(parts.players, ({"data": torch.randn(4, 2)} for _ in batches))
    assert moved == ["discriminator"] * 5 + ["generator"]
    assert next(batches) == drawn


@pytest.mark.parametrize("play", names_in("play"))
def test_constraints_act_once_an_update(make_parts, play):
    parts = make_parts(*SMALL, "regularizer=[ema,weight_clipping]", f"play={play}")
    discriminator, generator = parts.players
    for _ in range(3):
        parts.play(parts.players, data())
    assert generator.constraints["ema"].updates == 3
    assert all(p.abs().max() <= 0.01 for p in discriminator.parameters)


@pytest.mark.parametrize("play", names_in("play"))
def test_a_later_player_that_moves_twice_draws_what_it_must(make_parts, play):
    parts = make_parts(*SMALL, "players.generator.updates=2", f"play={play}")
    report = parts.step(data(torch.Generator().manual_seed(0)))
    assert all(value.isfinite().all() for value in report.values())
    assert {player.scheduler.last_epoch for player in parts.players} == {1}
