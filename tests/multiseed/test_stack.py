"""Several seeds in one process: each one's numbers are those of a run of its own, whatever the method."""

import pytest
import torch
from methods import METHODS, SGD, Drawn, moves, name_of, overrides
from torch import nn

from gan_runner.build import build_parts
from gan_runner.config.resolve import resolve
from gan_runner.datasets.base import Batches
from gan_runner.errors import ConfigError
from gan_runner.multiseed.stack import Stack, check_elementwise, tensors_of
from gan_runner.runs.checkpoints import random_state, set_random_state

SEEDS = (3, 5)


def double(batches):
    for batch in batches:
        yield {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def ready(make_parts, options, seed):
    """Parts of one seed in float64, its batches, and the state of its random numbers."""
    parts = make_parts(*options, "trainer.channels_last=false", f"seed={seed}")
    nn.ModuleDict(parts.networks).double()
    for player in parts.players:
        player.memory().double()
    data = parts.dataset.load(parts.device)
    parts.game.prepare(parts.networks, Drawn(next(double([data.first(8)]))), 8)
    return parts, double(Batches(parts.seen(data), 8, seed)), random_state(parts.device)


def alone(make_parts, options, seed, steps):
    parts, batches, randomness = ready(make_parts, options, seed)
    set_random_state(randomness, parts.device)
    for _ in range(steps):
        report = parts.step(batches)
    return parts, report


def together(make_parts, options, steps, **more):
    parts, batches, randomness = zip(*(ready(make_parts, options, seed) for seed in SEEDS))
    example = next(ready(make_parts, options, 0)[1])
    stack = Stack(parts, ready(make_parts, options, 0)[0], randomness, example, **more)
    for _ in range(steps):
        reports = stack.step(batches)
    stack.hand_out()
    return stack, reports


def assert_each_is_its_own(make_parts, options, steps=3, **more):
    stack, reports = together(make_parts, options, steps, **more)
    for number, seed in enumerate(SEEDS):
        parts, report = alone(make_parts, options, seed, steps)
        for name, value in tensors_of(parts).items():
            found = tensors_of(stack.parts[number])[name]
            assert torch.allclose(found, value, rtol=1e-9, atol=1e-11), name
        for name, value in report.items():
            assert torch.allclose(reports[name][number], value, rtol=1e-8, atol=1e-10), name
        for player, own in zip(stack.parts[number].players, parts.players):
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
@pytest.mark.parametrize(
    "method",
    [pytest.param(method, marks=[pytest.mark.slow] if number % 8 else []) for number, method in enumerate(METHODS)],
    ids=lambda method: name_of(method),
)
def test_every_seed_is_its_own_run(make_parts, method):
    assert_each_is_its_own(make_parts, [*overrides(*method), *moves(method[1], 2, *method[4:]), *SGD])


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "optimistic_adam", "negative_momentum"])
def test_one_optimizer_serves_all_seeds(make_parts, optimizer):
    options = [*overrides("mlp", "wgan", "ema", "points"), f"optimizer={optimizer}", "optimizer.lr=1e-3"]
    assert_each_is_its_own(make_parts, [*options, "scheduler=cosine", "trainer.steps=5"])


@pytest.mark.usefixtures("_float64")
def test_dropout_masks_are_those_of_each_seed(make_parts):
    assert_each_is_its_own(make_parts, [*overrides("maxout", "non_saturating", None, "image"), *SGD])


@pytest.mark.slow
@pytest.mark.usefixtures("_float64")
def test_compiled_it_is_the_same(make_parts):
    def compiled(graph):
        torch.compiler.reset()
        return torch.compile(graph, fullgraph=True, backend="aot_eager")

    options = [*overrides("mlp", "wgan_gp", "spectral_norm", "points"), *moves("wgan_gp", 2), *SGD]
    assert_each_is_its_own(make_parts, options, compile_move=compiled)


@pytest.mark.usefixtures("_float64")
def test_a_seed_saved_from_the_stack_goes_on_alone_and_in_a_stack(make_parts):
    options = [*overrides("mlp", "lsgan", "historical_averaging", "points"), "optimizer=adam"]
    stack, _ = together(make_parts, options, 3)
    saved = stack.parts[1].state_dict()
    parts, batches, _ = ready(make_parts, options, SEEDS[1])
    for _ in range(3):
        next(batches)
    parts.load_state_dict(saved)
    with stack.randomness_of(1):
        parts.step(batches)
    expected, _ = alone(make_parts, options, SEEDS[1], 4)
    for name, value in tensors_of(expected).items():
        assert torch.allclose(tensors_of(parts)[name], value, rtol=1e-9, atol=1e-11), name

    readied = [ready(make_parts, options, seed) for seed in SEEDS]
    for (again, _, _), trained in zip(readied, stack.parts):
        again.load_state_dict(trained.state_dict())
    example = next(readied[0][1])
    whole = ready(make_parts, options, 0)[0]
    resumed = Stack([r[0] for r in readied], whole, stack.randomness, example)
    before = resumed.whole.players[0].optimizer.state[resumed.whole.players[0].parameters[0]]
    after = stack.whole.players[0].optimizer.state[stack.whole.players[0].parameters[0]]
    compare(before, after)


def test_numbers_drawn_by_what_was_computed_are_refused(make_parts):
    parts = make_parts(*overrides("mlp", "lsgan", None, "points"))
    generator = parts.players[1]
    generator.terms = {"adversarial": lambda turn: (turn.fake * torch.bernoulli(turn.real.sigmoid())).mean()}
    others = [make_parts(*overrides("mlp", "lsgan", None, "points")) for _ in SEEDS]
    states = [random_state(part.device) for part in others]
    with pytest.raises(ConfigError, match="draws by what was computed"):
        Stack(others, parts, states, {"data": torch.randn(8, 2)})


@pytest.mark.parametrize("optimizer", ["Adafactor", "Muon"])
def test_optimizers_that_look_at_more_than_an_element_are_refused(optimizer):
    weights = [torch.zeros(2, 3, requires_grad=True)]
    with pytest.raises(ConfigError, match=f"{optimizer} does not step element by element"):
        check_elementwise(getattr(torch.optim, optimizer)(weights, lr=0.1))


def test_parts_come_from_the_same_configuration(hydra_config):
    config = hydra_config(*overrides("mlp", "lsgan", None, "points"))
    first, second = (build_parts(resolve(config)) for _ in range(2))
    assert [*tensors_of(first)] == [*tensors_of(second)]
