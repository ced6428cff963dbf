"""Schedules: their limits, and the equality with torch's schedulers."""

import copy
from functools import partial

import pytest
import torch
from conftest import TINY, names_in

from gan_runner.compile import compiled
from gan_runner.errors import ConfigError
from gan_runner.optimizers.schedules import LambdaOptions, constant, cosine, exponential, linear, ramp


@pytest.mark.parametrize("schedule", [linear, cosine])
def test_from_one_to_zero(schedule):
    values = [schedule(step, 10) for step in range(12)]
    assert values[0] == 1
    assert values[10] == pytest.approx(0, abs=1e-15)
    assert values[11] == pytest.approx(0, abs=1e-15)
    assert values == sorted(values, reverse=True)


def test_cosine_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    for step in range(7):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3 * cosine(step, 7))
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("scheduler", names_in("scheduler"))
def test_every_scheduler_sets_the_optimizers_rate(make_system, scheduler):
    options = ["trainer.steps=4", "optimizer=sgd", "optimizer.lr=0.5", "model=dcgan", *TINY["dcgan"]]
    system = make_system(f"scheduler={scheduler}", *options)
    player = system.players[0]
    player.optimizer.step()
    player.scheduler.step()
    expected = {
        "constant": 1,
        "linear": 0.75,
        "cosine": cosine(1, 4),
        "exponential": 0.999,
        "exponential_with_momentum": 0.999996,
    }[scheduler]
    assert player.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * expected)


def test_a_longer_run_follows_the_longer_schedule(make_system):
    short = make_system(
        "scheduler=linear", "trainer.steps=4", "optimizer.lr=1.0", "model=dcgan", *TINY["dcgan"]
    ).players[0]
    long = make_system(
        "scheduler=linear", "trainer.steps=8", "optimizer.lr=1.0", "model=dcgan", *TINY["dcgan"]
    ).players[0]
    for _ in range(4):
        short.optimizer.step()
        short.scheduler.step()
    long.load_state_dict(short.state_dict())
    long.optimizer.step()
    long.scheduler.step()
    assert long.optimizer.param_groups[0]["lr"] == pytest.approx(3 / 8)


def test_players_may_have_their_own_learning_rates(make_system):
    options = ["players.generator.optimizer.lr=0.3", "optimizer.lr=0.1", "optimizer=sgd"]
    discriminator, generator = make_system(*options, "model=dcgan", *TINY["dcgan"]).players
    assert discriminator.optimizer.param_groups[0]["lr"] == 0.1
    assert generator.optimizer.param_groups[0]["lr"] == 0.3
    assert generator.optimizer.param_groups[0]["momentum"] == 0.5


def test_exponential_decay_ends_at_its_floor():
    assert [exponential(step, 0.1, 0.01) for step in range(4)] == pytest.approx([1, 0.1, 0.01, 0.01])


def test_momentum_rises_and_survives_a_checkpoint(make_system):
    options = [
        "scheduler=exponential_with_momentum",
        "scheduler.momentum.steps=4",
        "optimizer=sgd",
        "model=dcgan",
        *TINY["dcgan"],
    ]
    player = make_system(*options).players[0]
    seen = []
    for _ in range(3):
        player.optimizer.step()
        player.scheduler.step()
        seen.append(player.optimizer.param_groups[0]["momentum"])
    assert seen == pytest.approx([0.55, 0.6, 0.65])
    again = make_system(*options).players[0]
    again.load_state_dict(player.state_dict())
    assert again.optimizer.param_groups[0]["momentum"] == pytest.approx(0.65)
    again.optimizer.step()
    again.scheduler.step()
    assert again.optimizer.param_groups[0]["momentum"] == pytest.approx(0.7)


def with_beta2(make_system, steps=10):
    """A player with Adam whose β₂ rises from 0.9 to 0.99."""
    player = make_system("optimizer=adam", "optimizer.betas=[0.0,0.9]", "model=dcgan", *TINY["dcgan"]).players[0]
    beta2 = partial(ramp, start=0.9, end=0.99, steps=steps)
    player.scheduler = LambdaOptions(player.optimizer, constant, beta2=beta2)
    return player


def descend(player, steps, draw):
    for _ in range(steps):
        player.descend([torch.randn(p.shape, generator=draw) for p in player.parameters])
        player.end_step()


def test_beta2_rises_and_continues_exactly_from_a_checkpoint(make_system):
    whole, first, second = (with_beta2(make_system) for _ in range(3))
    descend(whole, 6, torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(0)
    descend(first, 4, draw)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for own, saved in zip(second.parameters, first.parameters):
        own.data.copy_(saved.data)
    assert second.optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.936))
    descend(second, 2, draw)
    assert second.optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.954))
    assert all(torch.equal(found, expected) for found, expected in zip(second.parameters, whole.parameters))


def test_a_scheduled_option_must_be_one_of_the_optimizer():
    weights = [torch.zeros(1, requires_grad=True)]
    with pytest.raises(ValueError, match="SGD has no beta2 to schedule; choose optimizer=adam or another scheduler"):
        LambdaOptions(torch.optim.SGD(weights, lr=0.1), constant, beta2=constant)


def test_a_momentum_schedule_needs_momentum(make_system):
    with pytest.raises(ConfigError, match="Adam has no momentum"):
        make_system("scheduler=exponential_with_momentum", "model=dcgan", *TINY["dcgan"])


def test_a_compiled_iteration_refuses_a_momentum_schedule(make_system):
    system = make_system("scheduler=exponential_with_momentum", "optimizer=sgd", "model=dcgan", *TINY["dcgan"])
    with pytest.raises(ConfigError, match="fixes the momentum"):
        compiled("iteration", system.update_scheme, system.players, system.device)
