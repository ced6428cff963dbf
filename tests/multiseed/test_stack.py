"""Several seeds in one process: each one's numbers are those of a run of its own, whatever the method."""

import pytest
import torch
from combinations import moves, overrides
from conftest import thinned
from methods import QUICKEST, SGD, SPARE_LAYER, Drawn, options_of, slow_unless
from torch import nn

from gan_runner.build import build_system
from gan_runner.config.resolve import resolve
from gan_runner.datasets.base import Batches
from gan_runner.errors import ConfigError
from gan_runner.games.base import training_data
from gan_runner.multiseed.stack import Stack, check_elementwise, tensors_of
from gan_runner.runs.checkpoints import random_state, set_random_state

SEEDS = (3, 5)


def double(batches):
    for batch in batches:
        yield {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def ready(make_system, options, seed):
    """System of one seed in float64, its batches, and the state of its random numbers."""
    system = make_system(*options, channels_last=False, seed=seed)
    nn.ModuleDict(system.networks).double()
    for player in system.players:
        player.stateful_modules().double()
    data = system.dataset.load(system.device)
    system.game.prepare(system.networks, Drawn(next(double([data.first(8)]))), 8)
    return (
        system,
        double(Batches(training_data(system.game, system.dataset, data), 8, seed)),
        random_state(system.device),
    )


def alone(make_system, options, seed, steps):
    system, batches, randomness = ready(make_system, options, seed)
    set_random_state(randomness, system.device)
    for _ in range(steps):
        report = system.step(batches)
    return system, report


def together(make_system, options, steps, **more):
    system, batches, randomness = zip(*(ready(make_system, options, seed) for seed in SEEDS))
    whole, drawn, _ = ready(make_system, options, 0)
    stack = Stack(system, whole, randomness, next(drawn), **more)
    for _ in range(steps):
        reports = stack.step(batches)
    stack.scatter_state()
    return stack, reports


def assert_each_is_its_own(make_system, options, steps=3, **more):
    stack, reports = together(make_system, options, steps, **more)
    for number, seed in enumerate(SEEDS):
        system, report = alone(make_system, options, seed, steps)
        for name, value in tensors_of(system).items():
            found = tensors_of(stack.systems[number])[name]
            assert torch.allclose(found, value, rtol=1e-9, atol=1e-11), name
        for name, value in report.items():
            assert torch.allclose(reports[name][number], value, rtol=1e-8, atol=1e-10), name
        for player, own in zip(stack.systems[number].players, system.players):
            compare(player.state_dict(), own.state_dict())


def compare(found, expected):
    """Two nested states, tensors to rounding."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert torch.allclose(found.double(), expected.double(), rtol=1e-7, atol=1e-10)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            compare(found[key], expected[key])
    elif isinstance(expected, list):
        for left, right in zip(found, expected, strict=True):
            compare(left, right)
    else:
        assert found == pytest.approx(expected)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", slow_unless(QUICKEST))
def test_every_seed_equals_a_separate_run(make_system, method):
    assert_each_is_its_own(make_system, options_of(method))


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("optimizer", thinned(["optimistic_adam", "adam", "rmsprop", "negative_momentum"], 4))
def test_one_optimizer_serves_all_seeds(make_system, optimizer):
    options = [*overrides("mlp", "wgan", "ema", "points"), f"optimizer={optimizer}", "optimizer.lr=1e-3"]
    assert_each_is_its_own(make_system, [*options, "scheduler=cosine", "trainer.steps=5"])


@pytest.mark.usefixtures("_float64")
def test_an_unused_layer_is_not_changed(make_system):
    assert_each_is_its_own(make_system, [*overrides("mlp", "lsgan", "ema", "points", *SPARE_LAYER), "optimizer=adam"])


@pytest.mark.usefixtures("_float64")
def test_every_seed_follows_the_phases(make_system):
    phases = ["players.discriminator.updates={0: 1, 2: 2}", "players.generator.updates={0: 0, 1: 1}"]
    assert_each_is_its_own(make_system, [*overrides("mlp", "lsgan", "ema", "points"), *SGD, *phases], steps=4)


@pytest.mark.usefixtures("_float64")
def test_every_option_that_a_scheduler_changes_reaches_each_seed(make_system):
    """OneCycleLR moves Adam's betas beside its rate."""
    options = ["optimizer=adam", "scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "~scheduler.lr_lambda"]
    more = ["+scheduler.max_lr=1e-3", "+scheduler.total_steps=8"]
    assert_each_is_its_own(make_system, [*overrides("mlp", "lsgan", None, "points"), *options, *more])


@pytest.mark.usefixtures("_float64")
def test_every_seed_has_its_own_dropout_masks(make_system):
    assert_each_is_its_own(make_system, [*overrides("maxout", "non_saturating", None, "image"), *SGD])


@pytest.mark.slow
@pytest.mark.usefixtures("_float64")
def test_a_compiled_stack_equals_an_eager_one(make_system):
    def compiled(graph):
        torch.compiler.reset()
        return torch.compile(graph, fullgraph=True, backend="aot_eager")

    options = [*overrides("mlp", "wgan_gp", "spectral_norm", "points"), *moves("wgan_gp", 2), *SGD]
    assert_each_is_its_own(make_system, options, compile_move=compiled)


@pytest.mark.usefixtures("_float64")
def test_a_seed_saved_from_a_stack_resumes_alone_and_in_a_stack(make_system):
    options = [*overrides("mlp", "lsgan", "historical_averaging", "points"), "optimizer=adam"]
    stack, _ = together(make_system, options, 3)
    saved = stack.systems[1].state_dict()
    system, batches, _ = ready(make_system, options, SEEDS[1])
    for _ in range(3):
        next(batches)
    system.load_state_dict(saved)
    with stack.randomness_of(1):
        system.step(batches)
    expected, _ = alone(make_system, options, SEEDS[1], 4)
    for name, value in tensors_of(expected).items():
        assert torch.allclose(tensors_of(system)[name], value, rtol=1e-9, atol=1e-11), name

    readied = [ready(make_system, options, seed) for seed in SEEDS]
    for (again, _, _), trained in zip(readied, stack.systems):
        again.load_state_dict(trained.state_dict())
    example = next(readied[0][1])
    whole = ready(make_system, options, 0)[0]
    resumed = Stack([r[0] for r in readied], whole, stack.randomness, example)
    before = resumed.joint.players[0].optimizer.state[resumed.joint.players[0].parameters[0]]
    after = stack.joint.players[0].optimizer.state[stack.joint.players[0].parameters[0]]
    compare(before, after)


def test_random_numbers_that_depend_on_computed_values_are_refused(make_system):
    system = make_system(*overrides("mlp", "lsgan", None, "points"))
    generator = system.players[1]
    generator.terms = {"adversarial": lambda turn: (turn.fake * torch.bernoulli(turn.real.sigmoid())).mean()}
    others = [make_system(*overrides("mlp", "lsgan", None, "points")) for _ in SEEDS]
    states = [random_state(part.device) for part in others]
    with pytest.raises(ConfigError, match="whose distribution depends on computed values"):
        Stack(others, system, states, {"data": torch.randn(8, 2)})


@pytest.mark.parametrize("optimizer", ["Adafactor", "Muon"])
def test_optimizers_that_do_not_act_element_by_element_are_refused(optimizer):
    weights = [torch.zeros(2, 3, requires_grad=True)]
    with pytest.raises(ConfigError, match=f"{optimizer} does not step element by element"):
        check_elementwise(getattr(torch.optim, optimizer)(weights, lr=0.1))


def test_parts_come_from_the_same_configuration(hydra_config):
    config = hydra_config(*overrides("mlp", "lsgan", None, "points"))
    first, second = (build_system(resolve(config)) for _ in range(2))
    assert [*tensors_of(first)] == [*tensors_of(second)]
