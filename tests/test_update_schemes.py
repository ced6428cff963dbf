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


def same_noise(system):
    """Every turn sees the same noise, so that a move depends on the parameters alone."""
    for player in system.players:
        player.move = seeded(player.move)
    return system


def seeded(function):
    def call(*arguments):
        torch.manual_seed(7)
        return function(*arguments)

    return call


def state(system):
    return {name: value.clone() for name, value in nn.ModuleDict(system.networks).state_dict().items()}


def test_at_once_means_that_the_order_does_not_matter(make_system):
    ends = []
    for order in (1, -1):
        system = same_noise(make_system(*SMALL, "players.generator.fresh_batches=true"))
        for _ in range(3):
            simultaneous(system.players[::order], data())
        ends.append(state(system))
    first, second = ends
    assert all(torch.equal(first[name], second[name]) for name in first)


def second_only(update):
    """An update whose first call does nothing, which in extragradient is the step ahead."""
    calls = itertools.count()
    return lambda gradients: update(gradients) if next(calls) else None


def test_if_the_step_ahead_goes_nowhere_it_is_simultaneous_play(make_system):
    ends = []
    for play in (simultaneous, extragradient):
        system = same_noise(make_system(*SMALL, "optimizer=sgd", "optimizer.momentum=0"))
        if play is extragradient:
            for player in system.players:
                player.update = second_only(player.update)
        play(system.players, data())
        ends.append(state(system))
    first, second = ends
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_step_ahead_is_taken_back_exactly(make_system):
    system = make_system(*SMALL, "optimizer=adam", "optimizer.lr=1.0")
    before, ahead = state(system), []
    for player in system.players:
        player.update = first_only(player.update, lambda: ahead.append(state(system)))
    extragradient(system.players, data())
    after = state(system)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not all(torch.equal(before[name], ahead[-1][name]) for name in before)


def first_only(update, then):
    """An update whose second call does nothing, which in extragradient is the descent."""
    calls = itertools.count()
    return lambda gradients: None if next(calls) else (update(gradients), then())


@pytest.mark.parametrize(("play", "drawn"), [("alternating", 5), ("simultaneous", 5), ("extragradient", 6)])
def test_critic_moves_as_often_as_configured(make_system, play, drawn):
    system = make_system(*SMALL, "loss=wgan", f"play={play}")
    assert system.players[0].updates == 5
    moved, batches = [], itertools.count()
    for player in system.players:
        player.constraints = {"count": lambda name=player.name: moved.append(name)}
    system.update_scheme(system.players, ({"data": torch.randn(4, 2)} for _ in batches))
    assert moved == ["discriminator"] * 5 + ["generator"]
    assert next(batches) == drawn


@pytest.mark.parametrize("play", names_in("play"))
def test_constraints_act_once_an_update(make_system, play):
    system = make_system(*SMALL, "regularizer=[ema,weight_clipping]", f"play={play}")
    discriminator, generator = system.players
    for _ in range(3):
        system.update_scheme(system.players, data())
    assert generator.constraints["ema"].updates == 3
    assert all(p.abs().max() <= 0.01 for p in discriminator.parameters)


@pytest.mark.parametrize("play", names_in("play"))
def test_a_later_player_that_moves_twice_draws_what_it_must(make_system, play):
    system = make_system(*SMALL, "players.generator.updates=2", f"play={play}")
    report = system.step(data(torch.Generator().manual_seed(0)))
    assert all(value.isfinite().all() for value in report.values())
    assert {player.scheduler.last_epoch for player in system.players} == {1}
