"""Update schemes: the batches and moves of each player, and the order of updates."""

import itertools

import pytest
import torch
from conftest import TINY, names_in
from torch import nn

from gan_runner.step import extragradient, simultaneous

SMALL = ["dataset=ring8", "model=mlp", *TINY["mlp"]]


def data(generator=None):
    """An endless iterator over one batch, or over new ones."""
    for _ in itertools.count():
        yield {"data": torch.ones(4, 2) if generator is None else torch.randn(4, 2, generator=generator)}


def same_noise(system):
    """Fix the noise of every turn, so that a move depends on the parameters alone."""
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


def test_simultaneous_updates_do_not_depend_on_the_order_of_players(make_system):
    ends = []
    for order in (1, -1):
        system = same_noise(make_system(*SMALL, "players.generator.fresh_batches=true"))
        for _ in range(3):
            simultaneous(system.players[::order], data())
        ends.append(state(system))
    first, second = ends
    assert all(torch.equal(first[name], second[name]) for name in first)


def second_only(update):
    """An update whose first call, in extragradient the extrapolation, does nothing."""
    calls = itertools.count()
    return lambda gradients: update(gradients) if next(calls) else None


def test_extragradient_without_extrapolation_is_simultaneous(make_system):
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


def test_the_extrapolation_is_undone_exactly(make_system):
    system = make_system(*SMALL, "optimizer=adam", "optimizer.lr=1.0")
    before, ahead = state(system), []
    for player in system.players:
        player.update = first_only(player.update, lambda: ahead.append(state(system)))
    extragradient(system.players, data())
    after = state(system)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not all(torch.equal(before[name], ahead[-1][name]) for name in before)


def first_only(update, then):
    """An update whose second call, in extragradient the update itself, does nothing."""
    calls = itertools.count()
    return lambda gradients: None if next(calls) else (update(gradients), then())


@pytest.mark.parametrize(("play", "drawn"), [("alternating", 5), ("simultaneous", 5), ("extragradient", 6)])
def test_critic_makes_the_configured_updates(make_system, play, drawn):
    system = make_system(*SMALL, "loss=wgan", f"play={play}")
    assert system.players[0].updates == 5
    moved, batches = [], itertools.count()
    for player in system.players:
        player.constraints = {"count": lambda name=player.name: moved.append(name)}
    system.update_scheme(system.players, ({"data": torch.randn(4, 2)} for _ in batches))
    assert moved == ["discriminator"] * 5 + ["generator"]
    assert next(batches) == drawn


@pytest.mark.parametrize("play", names_in("play"))
def test_constraints_act_once_per_update(make_system, play):
    system = make_system(*SMALL, "regularizer=[ema,weight_clipping]", f"play={play}")
    discriminator, generator = system.players
    for _ in range(3):
        system.update_scheme(system.players, data())
    assert generator.constraints["ema"].updates == 3
    assert all(p.abs().max() <= 0.01 for p in discriminator.parameters)


@pytest.mark.parametrize("play", names_in("play"))
def test_a_later_player_with_two_moves_draws_enough_batches(make_system, play):
    system = make_system(*SMALL, "players.generator.updates=2", f"play={play}")
    report = system.step(data(torch.Generator().manual_seed(0)))
    assert all(value.isfinite().all() for value in report.values())
    assert {player.scheduler.last_epoch for player in system.players} == {1}
