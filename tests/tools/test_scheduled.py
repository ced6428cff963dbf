"""Numbers that follow a schedule: what players descend with them, and after a run is resumed."""

import copy
from dataclasses import replace

import pytest
import torch
from conftest import TINY
from methods import batches_of, some_steps

from gan_runner.errors import ConfigError
from gan_runner.models.layers.gaussian_noise import GaussianNoise
from gan_runner.optimizers.schedules import ramp
from gan_runner.tools.scheduled import Scheduled, value_of

RAMP = "{_target_: gan_runner.optimizers.schedules.ramp, _partial_: true, start: %s, end: %s, steps: %s}"
WEIGHT = "++players.discriminator.weights.gradient_penalty="
SMALL = ("dataset=ring8", "model=mlp", "loss=wgan_gp", *TINY["mlp"], "players.discriminator.updates=2")


def scheduled(steps=4, decay="0.5"):
    """WGAN-GP whose penalty gains weight from 0.25 to 1.25, with an average."""
    return (WEIGHT + RAMP % (0.25, 1.25, steps), "regularizer=[gradient_penalty,ema]", f"regularizer.ema.decay={decay}")


def parameters_of(system):
    return torch.cat([p.detach().flatten() for player in system.players for p in player.parameters])


def test_terms_have_the_weight_of_each_step(make_system):
    system = make_system(*SMALL, *scheduled())
    plain = make_system(*SMALL, "regularizer=[gradient_penalty,ema]", "regularizer.ema.decay=0.5")
    streams, discriminator = (batches_of(system), batches_of(plain)), plain.players[0]
    for step in range(6):
        discriminator.weights = {**discriminator.weights, "gradient_penalty": ramp(step, 0.25, 1.25, 4)}
        assert system.players[0].weights["gradient_penalty"].value == ramp(step, 0.25, 1.25, 4)
        for each, batches in zip((system, plain), streams):
            torch.manual_seed(step)
            each.step(batches)
        assert torch.equal(parameters_of(system), parameters_of(plain))


@pytest.mark.parametrize("steps", [4, 8])
def test_a_resumed_run_follows_its_own_schedule(make_system, steps):
    """With the same schedule to the bit; with another one, on that from its next step on."""
    through, resumed = (make_system(*SMALL, *scheduled(number)) for number in (4, steps))
    batches = batches_of(through)
    for _ in range(2):
        through.step(batches)
    resumed.load_state_dict(copy.deepcopy(through.state_dict()))
    for step in (2, 3):
        assert resumed.players[0].weights["gradient_penalty"].value == ramp(step, 0.25, 1.25, steps)
        batch = next(batches)
        for each in (through, resumed):
            torch.manual_seed(step)
            each.step(iter([batch] * 2))
        assert torch.equal(parameters_of(through), parameters_of(resumed)) == (steps == 4)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("compiled", ["moves", pytest.param("iteration", marks=pytest.mark.slow)])
def test_scheduled_values_are_no_constants_of_a_graph(make_system, compiled):
    method = ("mlp", "wgan_gp", "ema", "points", *scheduled()[:1], "regularizer.ema.decay=" + RAMP % (0.1, 0.6, 8))
    eager, _ = some_steps(make_system, method, steps=10)
    state, _ = some_steps(make_system, method, compiled, steps=10)
    for name, value in eager.items():
        torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9)


def test_an_option_of_a_layer_follows_its_schedule():
    layer = GaussianNoise(lambda step: 2.0 * step)
    x = torch.randn(5, 3)
    assert torch.equal(layer(x), x)
    (number,) = [module for module in layer.modules() if isinstance(module, Scheduled)]
    number.move_to(3)
    torch.manual_seed(0)
    noisy = layer(x)
    torch.manual_seed(0)
    assert torch.equal(noisy, x + 6.0 * torch.randn(5, 3))


def test_a_plain_number_stays_a_number(make_system):
    system = make_system(*SMALL)
    player = system.players[0]
    assert player.weights == {"adversarial": 1.0, "gradient_penalty": 0.1}
    assert not system.schedules
    assert not player.stateful_modules().state_dict()


def test_a_weight_that_is_neither_number_nor_schedule_is_refused(make_system):
    with pytest.raises(ConfigError, match=r"weights\.gradient_penalty"):
        make_system(*SMALL, WEIGHT + "much")


NUMBERS = (WEIGHT + "0.5", "regularizer=[gradient_penalty,ema]", "regularizer.ema.decay=0.5")


@pytest.mark.parametrize("to_number", [False, True])
def test_a_resumed_run_may_have_a_number_for_a_schedule_or_the_other_way_round(make_system, to_number):
    ramped = (*scheduled(), "regularizer.ema.decay=" + RAMP % (0.1, 0.5, 4))
    before, after = (NUMBERS, ramped) if not to_number else (ramped, NUMBERS)
    first, second = make_system(*SMALL, *before), make_system(*SMALL, *after)
    first.step(batches_of(first))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    weight, average = second.players[0].weights["gradient_penalty"], second.players[1].constraints["ema"]
    assert value_of(weight) == (0.5 if to_number else ramp(1, 0.25, 1.25, 4))
    assert value_of(average.decay) == pytest.approx(0.5 if to_number else ramp(1, 0.1, 0.5, 4))


def test_networks_that_are_not_trained_follow_their_schedules(make_system):
    """As those that a game keeps fixed, or whose player rests from the first step to the last."""
    system = make_system(*SMALL)
    system = replace(system, networks={**system.networks, "still": GaussianNoise(lambda step: 2.0 * step)})
    system.step(batches_of(system))
    assert system.networks["still"].std.value == 2
    again = make_system(*SMALL)
    again = replace(again, networks={**again.networks, "still": GaussianNoise(lambda step: 3.0 * step)})
    again.load_state_dict(copy.deepcopy(system.state_dict()))
    assert again.networks["still"].std.value == 3
