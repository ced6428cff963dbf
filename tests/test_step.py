"""The training step: every combination of options, operation counts, and no hidden syncs."""

import itertools
from collections import Counter

import pytest
import torch
from combinations import KINDS, LOSSES, MODELS, REGULARIZERS, SHAPES, moves, overrides
from conftest import TINY, names_in, thinned
from methods import (
    METHODS,
    OF_EACH_MECHANISM,
    REFUSALS,
    SGD,
    batches_of,
    name_of,
    options_of,
    prepared,
    slow_unless,
    some_steps,
)
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import softplus
from torch.utils._python_dispatch import TorchDispatchMode

from gan_runner.datasets.base import Batches
from gan_runner.errors import ConfigError
from gan_runner.step import train_step


def two_steps(make_system, *options, loss):
    """Make two steps; check that reports and weights are finite, that most weights changed, and that sampling works."""
    system = prepared(make_system(*options, *moves(loss, 1)))
    before = [p.clone() for player in system.players for p in player.parameters]
    batches = batches_of(system)
    for _ in range(2):
        report = train_step(system.players, batches)
    assert all(value.isfinite().all() for value in report.values()), report
    after = [p for player in system.players for p in player.parameters]
    assert all(p.isfinite().all() for p in after)
    moved = [not torch.equal(a, b) for a, b in zip(before, after)]
    assert sum(moved) > 0.7 * len(moved), f"only {sum(moved)} of {len(moved)} parameters moved"
    assert system.sample(system.noise(3, 0)).shape == (3, *system.dataset.shape)


def check(make_system, model, loss, regularizer, kind):
    """Check that a combination steps, or is refused in one line if `refused.json` lists it."""
    options = overrides(model, loss, regularizer, kind)
    if REFUSALS.refuses(model, loss, regularizer, kind):
        with pytest.raises(ConfigError) as refusal:
            make_system(*options)
        assert "\n" not in str(refusal.value)
    else:
        two_steps(make_system, *options, loss=loss)


def test_refusals_of_every_option_are_recorded():
    there = {"loss": LOSSES, "regularizer": REGULARIZERS, "model": MODELS}
    assert REFUSALS.recorded == there, "parts were added or removed: run python scripts/reference.py"


@pytest.mark.parametrize(
    "combination",
    [
        ("mlp", "wgan", "label_smoothing", "points"),  # no targets to smooth
        ("mlp", "hinge", "label_smoothing", "points"),
        ("mlp", "wgan_gp", "ada", "image"),  # scores without a sign
        ("mlp", "mmd", "gradient_penalty", "points"),  # no discriminator
        ("mlp", "mmd_rq", "spectral_norm", "points"),
        ("mlp", "began", "unrolled", "points"),  # stateful terms
        ("mlp", "ebgan", "instance_noise", "points"),  # the autoencoder would reconstruct the noise
        ("mlp", "non_saturating", "likelihood", "points"),  # no density
        ("mlp", "maximum_likelihood", None, "image"),
        ("gaussian", "hinge", "virtual_batch_norm", "points"),  # no layers to normalise
        ("dcgan", "non_saturating", None, "points"),
        ("gaussian", "non_saturating", None, "image"),
        ("mlp", "hinge", "diff_augment", "points"),
        ("point", "non_saturating", None, "points"),  # only for game=bilinear
    ],
    ids=name_of,
)
def test_combinations_that_cannot_work_are_refused(combination):
    assert REFUSALS.refuses(*combination)


@pytest.mark.parametrize(
    "combination",
    [
        ("mlp", "lsgan", "label_smoothing", "points"),
        ("dcgan", "non_saturating", "ada", "image"),
        ("dcgan", "wgan_gp", "gradient_penalty", "image"),
        ("resnet", "hinge", "spectral_norm", "image"),
        ("mlp", "mmd", "ema", "points"),
        ("mlp", "non_saturating", "unrolled", "points"),
        ("real_nvp", "maximum_likelihood", None, "points"),
        ("real_nvp_dcgan", "mmd", None, "points"),  # its discriminator is for images, but the loss has none
        ("real_nvp", "wgan_gp", "likelihood", "points"),
        ("dcgan", "non_saturating", "virtual_batch_norm", "image"),
        ("mlp", "ebgan", "pulling_away", "points"),
    ],
    ids=name_of,
)
def test_combinations_from_papers_are_accepted(combination):
    assert not REFUSALS.refuses(*combination)


def kind_of(regularizer):
    """The kind of data for a regularizer: points, unless it needs images."""
    return "image" if "points" in REFUSALS.regularizers.get(regularizer, {}).get("data", ()) else "points"


IMAGE_MODELS = [
    model
    for model in MODELS
    if REFUSALS.refuses(model, "non_saturating", None, "points")
    and not REFUSALS.refuses(model, "non_saturating", None, "image")
]


def model_for(kind, number):
    """A model that accepts such data, chosen by number; the slow tests use all, and `mlp` is in every method."""
    able = [model for model in MODELS if kind == "image" or model not in IMAGE_MODELS]
    return able[number % len(able)]


@pytest.mark.parametrize(("number", "loss"), thinned([*enumerate(LOSSES)], 2))
def test_every_loss_steps_with_a_model_or_is_refused(make_system, number, loss):
    kind = KINDS[number % 2]
    check(make_system, model_for(kind, number), loss, None, kind)


@pytest.mark.parametrize(("number", "regularizer"), thinned([*enumerate(REGULARIZERS)], 2))
def test_every_regularizer_steps_with_a_model_or_is_refused(make_system, number, regularizer):
    kind = KINDS[number % 2]
    check(make_system, model_for(kind, number), "non_saturating", regularizer, kind)


@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_models_of_images_refuse_points(make_system, model):
    check(make_system, model, "non_saturating", None, "points")


@pytest.mark.parametrize(("number", "loss"), thinned([*enumerate(LOSSES)], 3))
def test_losses_and_regularizers_step_together_or_are_refused(make_system, number, loss):
    regularizer = REGULARIZERS[7 * number % len(REGULARIZERS)]  # the slow tests have all pairs
    check(make_system, "mlp", loss, regularizer, kind_of(regularizer))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_combination_steps_with_finite_losses_or_is_refused(make_system, model, loss, kind):
    for regularizer in REGULARIZERS:
        check(make_system, model, loss, regularizer, kind)


PAIRS = [*itertools.combinations([name for name in REGULARIZERS if name != "likelihood"], 2)]  # which is for flows


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*pair, marks=[pytest.mark.slow] if number % 12 else []) for number, pair in enumerate(PAIRS)],
)
def test_regularizers_step_together(make_system, first, second):
    system = prepared(make_system(f"regularizer=[{first},{second}]", "model=dcgan", *TINY["dcgan"]))
    report = train_step(system.players, batches_of(system))
    assert all(value.isfinite().all() for value in report.values())


def step_on_meta(system):
    """One whole step, with optimizers and constraints, on the meta device, which has shapes and no values."""
    batch = {name: torch.empty_like(value, device="meta") for name, value in next(batches_of(system)).items()}
    with FakeTensorMode(allow_non_fake_inputs=True):
        system.update_scheme(system.players, itertools.repeat(batch))


@pytest.mark.parametrize("method", slow_unless({*OF_EACH_MECHANISM, *METHODS[::15]}))
def test_step_reads_no_value_from_the_device(make_system, method):
    step_on_meta(make_system(*options_of(method), device="meta"))


@pytest.mark.parametrize("optimizer", names_in("optimizer"))
def test_optimizer_reads_no_value_from_the_device(make_system, optimizer):
    step_on_meta(make_system(*overrides("mlp", "lsgan", None, "points", f"optimizer={optimizer}"), device="meta"))


def planted_item(turn):
    return turn.fake.mean() * turn.real.mean().item()


def planted_branch(turn):
    return turn.fake.mean() if turn.real.mean() > 0 else turn.fake.sum()


def planted_cpu_noise(turn):
    return (turn.fake + torch.randn(8, 2)).mean()


@pytest.mark.parametrize("fault", [planted_item, planted_branch, planted_cpu_noise])
def test_meta_device_catches_planted_faults(make_system, fault):
    system = make_system(*overrides("mlp", "lsgan", None, "points"), device="meta")
    generator = system.players[1]
    generator.terms, generator.weights = {**generator.terms, "fault": fault}, {**generator.weights, "fault": 1.0}
    with pytest.raises(Exception, match=r"_local_scalar_dense|item|is_nonzero|data-dependent|device|meta"):
        step_on_meta(system)


GROUPS = {"loss": 1, "regularizer": 2, "model": 0}


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_in_a_tested_method(group):
    named = {name for method in METHODS for name in (method[GROUPS[group]] or "").split(",")}
    assert set(names_in(group)) - named <= {"line"}  # like gaussian, for data without a density


@pytest.mark.parametrize("group", ["game", "play"])
def test_every_game_and_update_scheme_is_in_a_tested_method(group):
    typed = {option.partition("=")[2] for method in METHODS for option in method[4:] if option.startswith(f"{group}=")}
    usual = {"gan", "maximum_likelihood", "moment_matching"}  # games that losses select
    assert set(names_in(group)) - usual <= typed


class CountOperations(TorchDispatchMode):
    """Context that counts aten operations."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[str(function).rpartition(".")[0]] += 1  # of any overload
        return function(*args, **(kwargs or {}))


FEATURES = {
    "plain": [],
    "gradient_penalty": ["regularizer=[gradient_penalty]"],
    "weight_clipping": ["regularizer=[weight_clipping]"],
    "ema": ["regularizer=[ema]"],
}


@pytest.mark.parametrize("feature", FEATURES)
def test_step_runs_the_operations_of_a_handwritten_loop_and_detaches_its_report(make_system, feature):
    system = make_system(*overrides("mlp", "non_saturating", None, "points"), *FEATURES[feature])
    generator, discriminator = system.networks["generator"], system.networks["discriminator"]
    optimizers = {player.name: player.optimizer for player in system.players}
    averages = system.sampling_networks()["generator"].parameters() if feature == "ema" else ()
    updates = torch.tensor(1.0)
    real = next(batches_of(system))["data"]
    reports = [
        train_step(system.players, itertools.repeat({"data": real})) for _ in range(2)
    ]  # the first creates Adam's state

    def descend(network, loss):
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        for parameter, gradient in zip(network.parameters(), gradients):
            parameter.grad = gradient

    def bare():
        with torch.no_grad():
            fake = generator(torch.randn(8, 4))
        loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        if feature == "gradient_penalty":
            between = (real + torch.rand(8, 1) * (fake - real)).detach().requires_grad_()
            (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
            norms = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
            loss = loss + 0.1 * (norms - 1.0).square().mean()
        descend(discriminator, loss)
        optimizers["discriminator"].step()
        if feature == "weight_clipping":
            with torch.no_grad():
                for parameter in discriminator.parameters():
                    parameter.clamp_(-0.01, 0.01)
        descend(generator, softplus(-discriminator(generator(torch.randn(8, 4)))).mean())
        optimizers["generator"].step()
        if feature == "ema":
            with torch.no_grad():
                decay = ((1 + updates) / (10 + updates)).clamp(max=0.999)
                updates.add_(1)
                for average, parameter in zip(averages, generator.parameters()):
                    average.lerp_(parameter, 1 - decay)

    with CountOperations() as theirs:
        bare()
    with CountOperations() as ours:
        train_step(system.players, itertools.repeat({"data": real}))
    assert not theirs.counts - ours.counts
    extra = ours.counts - theirs.counts
    assert set(extra) <= {"aten.detach"}, extra
    assert extra["aten.detach"] <= len(reports[0]) + 1, extra


def test_critic_makes_the_configured_updates_on_fresh_batches(make_system):
    system = make_system(*overrides("mlp", "wgan", None, "points"))
    data = system.dataset.load(system.device)
    batches = Batches(data, 8, 0)
    train_step(system.players, batches)
    assert batches.drawn == 5  # the generator sees the critic's last batch


def test_a_player_changes_only_its_own_networks(make_system):
    system = make_system(*overrides("mlp", "lsgan", None, "points"))
    batch = next(batches_of(system))
    discriminator, generator = system.players
    before = {name: value.clone() for name, value in nn.ModuleDict(system.networks).state_dict().items()}
    _, gradients = generator.move(batch)
    generator.descend(gradients)
    for name, value in nn.ModuleDict(system.networks).state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("discriminator")
    assert all(p.grad is None for p in discriminator.parameters)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("loss", ["non_saturating", "wgan_gp"])
def test_channels_last_does_not_change_the_step(make_system, loss):
    ends = []
    for channels_last in ("true", "false"):
        options = [*SGD, f"trainer.channels_last={channels_last}"]
        state, _ = some_steps(make_system, ("dcgan", loss, None, "image", *options), optimizer=(), steps=3)
        ends.append(state)
    for name, value in ends[1].items():
        assert torch.allclose(ends[0][name], value, rtol=1e-9, atol=1e-11), name


def test_channels_last_sets_the_strides_of_weights(make_system):
    system = make_system("trainer.channels_last=true", "model=dcgan", *TINY["dcgan"])
    weights = [p for player in system.players for p in player.parameters if p.dim() == 4 and min(p.shape[:2]) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
