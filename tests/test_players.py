"""Phases: the number of moves of each player, by a table of steps."""

import copy
import itertools

import pytest
import torch
from combinations import overrides
from conftest import names_in
from methods import batches_of
from test_compile import assert_compiled_equals_eager
from torch import nn

from gan_runner.errors import ConfigError
from gan_runner.players import phases_of
from gan_runner.step import batches_per_step

METHOD = ("mlp", "wgan", "ema", "points", "scheduler=cosine", "trainer.steps=8")
PHASES = ("players.discriminator.updates={0: 2, 6: 0}", "players.generator.updates={0: 0, 3: 1, 5: 2}")


def advance(system, batches, steps):
    """Make some steps with the same random numbers in every call."""
    for _ in range(steps):
        torch.manual_seed(system.players[0].scheduler.last_epoch)
        report = system.step(batches)
    return report


def weights(system):
    return nn.ModuleDict(system.networks).state_dict()


def assert_equal(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("play", names_in("play"))
def test_phases_equal_consecutive_runs_with_constant_numbers(make_system, play):
    options = [*overrides(*METHOD), f"play={play}"]
    table = make_system(*options, "players.discriminator.updates={0: 1, 3: 3}")
    advance(table, batches_of(table), 6)
    first, second = (make_system(*options, f"players.discriminator.updates={updates}") for updates in (1, 3))
    batches = batches_of(first)
    advance(first, batches, 3)
    second.load_state_dict(first.state_dict())
    advance(second, batches, 3)
    assert_equal(weights(table), weights(second))


@pytest.mark.parametrize("play", names_in("play"))
def test_a_player_without_moves_influences_nothing(make_system, play):
    options = [*overrides(*METHOD), f"play={play}"]
    table = make_system(*options, "players.generator.updates={0: 0, 3: 1}")
    report = advance(table, batches_of(table), 3)
    alone = make_system(*options, "players.generator.updates=0")
    assert report.keys() == advance(alone, batches_of(alone), 3).keys()
    assert_equal(weights(table), weights(alone))
    assert {player.scheduler.last_epoch for player in table.players} == {3}  # its scheduler counts training steps
    assert not table.players[1].optimizer.state
    assert any(name.startswith("generator/") for name in advance(table, batches_of(table), 1))


@pytest.mark.parametrize("play", names_in("play"))
def test_the_second_player_draws_the_batch_if_the_first_does_not_move(make_system, play):
    system = make_system(*overrides(*METHOD), f"play={play}", "players.discriminator.updates={0: 0, 3: 1}")
    before = copy.deepcopy(weights(system))
    report = advance(system, batches_of(system), 1)
    assert report
    assert all(name.startswith("generator/") for name in report)
    assert not torch.equal(*(nn.utils.parameters_to_vector(w.values()) for w in (before, weights(system))))


def test_a_resumed_run_is_in_the_phase_of_its_step(make_system):
    whole, first, second = (make_system(*overrides(*METHOD), *PHASES) for _ in range(3))
    advance(whole, batches_of(whole), 8)
    batches = batches_of(first)
    advance(first, batches, 4)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    advance(second, batches, 4)
    assert_equal(weights(whole), weights(second))


def test_batches_are_counted_by_phase(make_system):
    system = make_system(*overrides(*METHOD), *PHASES)
    counted, drawn = [], itertools.count()
    batches = ({"data": torch.randn(8, 2)} for _ in drawn)
    for _ in range(8):
        for player in system.players:
            player.begin_step()
        counted.append(batches_per_step(system.update_scheme, system.players))
        system.step(batches)
    assert counted == [2, 2, 2, 2, 2, 2, 1, 1]
    assert next(drawn) == sum(counted)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("compiled", ["moves", pytest.param("iteration", marks=pytest.mark.slow)])
def test_compiled_phases_equal_eager_phases(make_system, compiled):
    changes = ("players.generator.updates={0: 0, 3: 1, 6: 2}", "trainer.steps=12")
    assert_compiled_equals_eager(make_system, (*METHOD[:4], *changes), compiled, backend="eager")


@pytest.mark.parametrize("updates", [-1, {}, {3: 1}, {0: 1, 3: -1}, {-1: 1, 0: 1}])
def test_numbers_out_of_range_are_refused(make_system, updates):
    with pytest.raises(
        ValueError, match=r"must be 0 \(the player is not trained\) or more; a table from steps to numbers begins at"
    ):
        phases_of(updates)


def test_the_error_for_a_table_out_of_range_names_its_option(make_system):
    with pytest.raises(ConfigError, match=r"^players\.generator\.updates=\{3: 1\} must be 0 "):
        make_system(*overrides(*METHOD), "players.generator.updates={3: 1}")


def test_noise_annealing_counts_the_updates_of_all_phases(make_system):
    system = make_system(
        *overrides("mlp", "lsgan", "instance_noise", "points", "trainer.steps=5"),
        "players.discriminator.updates={0: 1, 2: 3}",
    )
    assert system.players[0].constraints["instance_noise"].total == 2 * 1 + 3 * 3
