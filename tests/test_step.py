"""The step: right for every combination, pure enough to compile, free of hidden syncs."""

import itertools
from collections import Counter

import pytest
import torch
from conftest import TINY, names_in
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from gan_runner.compilation import compile_iteration, compile_moves
from gan_runner.config import CONF
from gan_runner.datasets import Batches
from gan_runner.errors import ConfigError
from gan_runner.step import train_step

LOSSES = names_in("loss")
REGULARIZERS = names_in("regularizer")
MODELS = names_in("model")
SHAPES = {"image": ("dataset=digits", (1, 16, 16)), "points": ("dataset=ring8", (2,))}


IMAGES_ONLY = ("ada", "balanced_consistency", "consistency", "diff_augment")
JUDGED_BY = {  # regularizers of the discriminator's player or network
    *("gradient_penalty", "dragan", "r1", "r2", "historical_averaging", "minibatch_discrimination", "lecam"),
    *("spectral_norm", "orthogonal", "virtual_batch_norm", "weight_clipping", "unrolled", "instance_noise"),
    *IMAGES_ONLY,
}
UNJUDGED = ("mmd", "mmd_rq")
WITH_TARGETS = [loss for loss in LOSSES if "real_target" in (CONF / "loss" / f"{loss}.yaml").read_text()]
WITHOUT_NEUTRAL_SCORE = ("wgan", "wgan_gp", "kliep", "relativistic", "relativistic_average", "began")


def impossible(model, loss, regularizer, kind):
    """The combinations that a configuration error must meet."""
    smoothed = regularizer == "label_smoothing" and loss not in WITH_TARGETS
    steered = regularizer == "ada" and loss in WITHOUT_NEUTRAL_SCORE
    unjudged = loss in UNJUDGED and regularizer in JUDGED_BY
    unnormed = model in ("gaussian", "line") and regularizer == "virtual_batch_norm"
    undone = loss in ("ebgan", "began") and regularizer in ("ada", "diff_augment", "instance_noise")
    shapeless = kind == "points" and (model == "dcgan" or regularizer in IMAGES_ONLY)
    pointless = kind == "image" and model in ("gaussian", "line")
    return (
        smoothed or steered or unjudged or unnormed or undone or shapeless or pointless or model == "point"
    )  # of bilinear


def batches_of(parts, size=8):
    """Endless random batches of the shape of the data."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield {"data": torch.rand(size, *parts.dataset.shape, generator=generator) * 2 - 1}


def prepared(parts):
    """The parts, initialised from data that is random."""
    parts.game.prepare(parts.networks, next(batches_of(parts))["data"])
    return parts


def moves(loss, updates):
    """How often the discriminator moves a step, where there is one."""
    return [] if loss in UNJUDGED else [f"players.discriminator.updates={updates}"]


def overrides(model, loss, regularizer, kind, *more):
    """What a user would type, made small."""
    listed = f"[{regularizer}]" if regularizer else "[]"
    small = [option for option in TINY[model] if "discriminator" not in option or loss not in UNJUDGED]
    return [f"model={model}", f"loss={loss}", f"regularizer={listed}", SHAPES[kind][0], *small, *more]


def two_steps(make_parts, *options, loss):
    """Two steps leave reports and weights finite, most weights moved, and something to sample from."""
    parts = prepared(make_parts(*options, *moves(loss, 1)))
    before = [p.clone() for player in parts.players for p in player.parameters]
    batches = batches_of(parts)
    for _ in range(2):
        report = train_step(parts.players, batches)
    assert all(value.isfinite().all() for value in report.values()), report
    after = [p for player in parts.players for p in player.parameters]
    assert all(p.isfinite().all() for p in after)
    moved = [not torch.equal(a, b) for a, b in zip(before, after)]
    assert sum(moved) > 0.7 * len(moved), f"only {sum(moved)} of {len(moved)} parameters moved"
    assert parts.sample(parts.noise(3, 0)).shape == (3, *parts.dataset.shape)


def check(make_parts, model, loss, regularizer, kind):
    """It steps, or says why not."""
    options = overrides(model, loss, regularizer, kind)
    if impossible(model, loss, regularizer, kind):
        with pytest.raises(ConfigError):
            make_parts(*options)
    else:
        two_steps(make_parts, *options, loss=loss)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_steps_under_every_model_or_says_why_not(make_parts, loss, kind):
    for model in MODELS:
        check(make_parts, model, loss, None, kind)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_every_regularizer_steps_under_every_model_or_says_why_not(make_parts, regularizer, kind):
    for model in MODELS:
        check(make_parts, model, "non_saturating", regularizer, kind)


@pytest.mark.parametrize(("number", "loss"), [*enumerate(LOSSES)])
def test_losses_and_regularizers_go_together_or_say_why_not(make_parts, number, loss):
    for regularizer in REGULARIZERS[number % 5 :: 5]:  # a fifth of all pairs; the rest are slow
        check(make_parts, "mlp", loss, regularizer, "image" if regularizer in IMAGES_ONLY else "points")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_combination_steps_with_finite_losses_or_says_why_not(make_parts, model, loss, kind):
    for regularizer in REGULARIZERS:
        check(make_parts, model, loss, regularizer, kind)


PAIRS = [*itertools.combinations(REGULARIZERS, 2)]


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*pair, marks=[pytest.mark.slow] if number % 6 else []) for number, pair in enumerate(PAIRS)],
)
def test_regularizers_go_together(make_parts, first, second):
    parts = prepared(make_parts(f"regularizer=[{first},{second}]", *TINY["dcgan"]))
    report = train_step(parts.players, batches_of(parts))
    assert all(value.isfinite().all() for value in report.values())


METHODS = [
    *(("mlp", loss, None, "points") for loss in LOSSES),
    *(("mlp", "wgan_gp", "historical_averaging", "points", f"play={play}") for play in names_in("play")),
    ("point", "minimax", "historical_averaging", "points", "game=bilinear"),
    *(("mlp", "lsgan", name, "image" if name in IMAGES_ONLY else "points") for name in REGULARIZERS),
    *((model, "wgan_gp", None, "image") for model in ("mlp", "maxout", "dcgan")),
    *((model, "non_saturating", None, "image") for model in ("mlp", "maxout", "dcgan")),
    ("dcgan", "hinge", "spectral_norm", "image"),
    ("dcgan", "wgan_gp", "diff_augment", "image"),
    ("dcgan", "wgan_gp", "orthogonal", "image"),
    ("dcgan", "non_saturating", "ada,r1", "image"),
    ("dcgan", "non_saturating", "virtual_batch_norm", "image"),
    ("dcgan", "non_saturating", "minibatch_discrimination", "image"),
    ("dcgan", "began", None, "image"),
    ("dcgan", "ebgan", "pulling_away", "image"),
    ("gaussian", "ebgan", "minibatch_discrimination", "points"),
    ("mlp", "mmd", None, "image", "game=moment_matching_codes"),
]
METHODS = [method for method in METHODS if not impossible(*method[:4])]


SGD = ("optimizer=sgd", "optimizer.lr=0.01")  # its rounding noise does not grow


def three_steps(make_parts, method, compiled=None, backend="aot_eager", optimizer=SGD):
    """Parameters and buffers after three steps in float64: eager, each move compiled, or the whole iteration."""
    torch.compiler.reset()
    options = [*overrides(*method), *moves(method[1], 2), *optimizer]
    parts = make_parts(*options)
    nn.ModuleDict(parts.networks).double()
    for player in parts.players:
        player.memory().double()
    parts.game.prepare(parts.networks, next(batches64(parts))["data"])
    if compiled == "moves":
        parts.play = compile_moves(parts.play, parts.players, backend=backend)
    if compiled == "iteration":
        parts.play = compile_iteration(parts.play, parts.players, backend=backend)
    batches = batches64(parts)
    torch.manual_seed(1)
    reports = [parts.step(batches) for _ in range(3)]
    state = dict(nn.ModuleDict(parts.networks).state_dict())
    for player in parts.players:
        state |= {f"{player.name} {name}": value for name, value in player.memory().state_dict().items()}
    return state, reports


def batches64(parts):
    for batch in batches_of(parts):
        yield {name: value.double() for name, value in batch.items()}


def prepared64(parts):
    noise = torch.zeros(8, parts.game.latent.dim, dtype=torch.float64)
    data = next(batches64(parts))["data"]
    for name, inputs in {"generator": noise, "discriminator": data}.items():
        if hasattr(parts.networks[name], "prepare"):  # a point has nothing to prepare
            parts.networks[name].prepare(inputs, data)
    return parts


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_compiled_equals_eager(make_parts, method, compiled, **options):
    eager, eager_reports = three_steps(make_parts, method, **options)
    state, reports = three_steps(make_parts, method, compiled, **options)
    for name, value in eager.items():
        assert torch.allclose(state[name], value, rtol=1e-7, atol=1e-9), name
    for name, value in eager_reports[-1].items():
        torch.testing.assert_close(reports[-1][name], value, rtol=1e-6, atol=1e-8)


def traced_often(method):
    """The method, marked slow if it takes long to trace, or is traced as another one is."""
    slow = method[2] in ("ada", "ada,r1", "unrolled") or (method[1].startswith("fgan_") and method[1] != "fgan_kl")
    return pytest.param(method, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", [*map(traced_often, METHODS)], ids=lambda m: "-".join(filter(None, m)))
@pytest.mark.parametrize("compiled", ["moves", "iteration"])
def test_compiled_step_updates_as_eager_does(make_parts, method, compiled):
    assert_compiled_equals_eager(make_parts, method, compiled)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("optimizer", names_in("optimizer"))
def test_compiled_iteration_descends_by_every_optimizer(make_parts, optimizer):
    method = ("mlp", "non_saturating", "ema", "points", "scheduler=cosine")
    options = (f"optimizer={optimizer}", "optimizer.lr=1e-3", "trainer.steps=4")
    assert_compiled_equals_eager(make_parts, method, "iteration", optimizer=options)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    "method",
    [
        ("mlp", "non_saturating", "gradient_penalty", "points"),
        pytest.param(("mlp", "wgan", "historical_averaging", "points"), marks=pytest.mark.slow),
        pytest.param(("dcgan", "lsgan", "minibatch_discrimination", "image"), marks=pytest.mark.slow),
        pytest.param(("dcgan", "hinge", "spectral_norm", "image"), marks=pytest.mark.slow),
        pytest.param(("dcgan", "hinge", "orthogonal", "image"), marks=pytest.mark.slow),
        pytest.param(("dcgan", "non_saturating", "ada,r1", "image"), marks=pytest.mark.slow),
    ],
    ids=lambda m: "-".join(filter(None, m)),
)
@pytest.mark.parametrize("compiled", ["moves", "iteration"])
def test_inductor_updates_as_eager_does(make_parts, method, compiled):
    with torch._inductor.config.patch(fallback_random=True):  # otherwise it draws other random numbers
        assert_compiled_equals_eager(make_parts, method, compiled, backend="inductor")


def step_on_meta(parts):
    """One whole step, optimizers and constraints included, on a device that has shapes and no numbers."""
    batch = {"data": torch.empty(8, *parts.dataset.shape, device="meta")}
    with FakeTensorMode(allow_non_fake_inputs=True):
        parts.play(parts.players, itertools.repeat(batch))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: "-".join(filter(None, m)))
def test_step_needs_no_number_from_the_device(make_parts, method):
    step_on_meta(make_parts(*overrides(*method), "trainer.device=meta"))


@pytest.mark.parametrize("optimizer", names_in("optimizer"))
def test_optimizer_needs_no_number_from_the_device(make_parts, optimizer):
    step_on_meta(
        make_parts(*overrides("mlp", "lsgan", None, "points", f"optimizer={optimizer}", "trainer.device=meta"))
    )


def planted_item(turn):
    return turn.fake.mean() * turn.real.mean().item()


def planted_branch(turn):
    return turn.fake.mean() if turn.real.mean() > 0 else turn.fake.sum()


def planted_cpu_noise(turn):
    return (turn.fake + torch.randn(8, 2)).mean()


@pytest.mark.parametrize("fault", [planted_item, planted_branch, planted_cpu_noise])
def test_meta_device_catches_planted_faults(make_parts, fault):
    parts = make_parts(*overrides("mlp", "lsgan", None, "points"), "trainer.device=meta")
    generator = parts.players[1]
    generator.terms, generator.weights = {**generator.terms, "fault": fault}, {**generator.weights, "fault": 1.0}
    with pytest.raises(Exception, match=r"_local_scalar_dense|item|is_nonzero|data-dependent|device|meta"):
        step_on_meta(parts)


class CountOperations(TorchDispatchMode):
    """Counts the aten operations that run inside it."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[str(function).rpartition(".")[0]] += 1  # of any overload
        return function(*args, **(kwargs or {}))


def test_step_costs_no_more_operations_than_the_loop_written_out(make_parts):
    parts = make_parts(*overrides("mlp", "non_saturating", None, "points"))
    networks = parts.networks
    generator, discriminator = networks["generator"], networks["discriminator"]
    optimizers = {player.name: player.optimizer for player in parts.players}
    real = next(batches_of(parts))["data"]
    train_step(parts.players, itertools.repeat({"data": real}))  # Adam makes its state
    bce = torch.nn.functional.binary_cross_entropy_with_logits

    def bare():
        with torch.no_grad():
            fake = generator(torch.randn(8, 4))
        scores, fakes = discriminator(real), discriminator(fake)
        loss = bce(scores, torch.full_like(scores, 1.0)) + bce(fakes, torch.full_like(fakes, 0.0))
        for p, g in zip(discriminator.parameters(), torch.autograd.grad(loss, list(discriminator.parameters()))):
            p.grad = g
        optimizers["discriminator"].step()
        loss = torch.nn.functional.softplus(-discriminator(generator(torch.randn(8, 4)))).mean()
        for p, g in zip(generator.parameters(), torch.autograd.grad(loss, list(generator.parameters()))):
            p.grad = g
        optimizers["generator"].step()

    with CountOperations() as theirs:
        bare()
    with CountOperations() as ours:
        train_step(parts.players, itertools.repeat({"data": real}))
    extra = ours.counts - theirs.counts
    for_the_report_and_the_weighted_sum = {"aten.detach", "aten.mean", "aten.stack", "aten.sum", "aten.mul"}
    for_their_gradients = {"aten.expand", "aten.select"}
    allowed = for_the_report_and_the_weighted_sum | for_their_gradients
    assert set(extra) <= allowed, extra
    assert sum(extra.values()) <= 24, extra


def test_critic_moves_as_often_as_configured_on_fresh_batches(make_parts):
    parts = make_parts(*overrides("mlp", "wgan", None, "points"))
    data = parts.dataset.load(parts.device)
    batches = Batches(data, 8, 0)
    train_step(parts.players, batches)
    assert batches.drawn == 5  # the generator sees the critic's last batch


def test_a_player_moves_only_what_it_owns(make_parts):
    parts = make_parts(*overrides("mlp", "lsgan", None, "points"))
    batch = next(batches_of(parts))
    discriminator, generator = parts.players
    before = {name: value.clone() for name, value in nn.ModuleDict(parts.networks).state_dict().items()}
    _, gradients = generator.gradients(batch)
    generator.descend(gradients)
    for name, value in nn.ModuleDict(parts.networks).state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("discriminator")
    assert all(p.grad is None for p in discriminator.parameters)
