"""All methods at a small size, for tests that hold for every method.

A new loss, regularizer or model is added automatically, combined with the first options that accept it.
"""

import inspect
import itertools

import pytest
import torch
from combinations import LOSSES, MODELS, REGULARIZERS, Refusals, moves, overrides
from conftest import names_in
from torch import nn

from gan_runner.compile import compile_iteration, compile_moves
from gan_runner.datasets.labels import frequencies
from gan_runner.models.mlp import MLPGenerator

REFUSALS = Refusals.load()


def home(models, losses, regularizer):
    """The first accepted combination of a model, a loss, a regularizer (or None) and a kind of data, in a list."""
    combinations = itertools.product(losses, models, [regularizer], ("points", "image"))
    each = ((model, loss, name, kind) for loss, model, name, kind in combinations)
    return [*itertools.islice((method for method in each if not REFUSALS.refuses(*method)), 1)]


def batches_of(system, size=8):
    """Endless random batches of the data's shape, with random labels if it has labels."""
    generator, of_labels = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    labels = system.dataset.labels
    while True:
        batch = {"data": torch.rand(size, *system.dataset.shape, generator=generator) * 2 - 1}
        if labels is not None:
            batch["label"] = torch.randint(labels.dim, (size,), generator=of_labels)
        if hasattr(system.game, "labelled"):
            label = batch.pop("label")  # as the game hides it
            batch |= {"labelled": batch["data"].flip(0), "labelled_label": label.flip(0)}
        if hasattr(system.dataset, "caption_length"):
            batch["caption"] = torch.randint(71, (size, system.dataset.caption_length), generator=of_labels)
        yield batch


class Drawn:
    """A dataset that consists of one batch.

    Args:
        batch: the batch.
    """

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["data"])

    def stream(self, start, size, seed):
        return itertools.repeat(self.batch)

    def describe(self):
        return "a batch"

    def real(self, n):
        return self.batch["data"][:n]

    def label_frequencies(self):
        return frequencies(self.batch["label"])

    def first(self, n):
        return {name: value[:n] for name, value in self.batch.items()}


def prepared(system):
    """Initialise a system from random data, and return it."""
    system.game.prepare(system.networks, Drawn(next(batches_of(system))), 8)
    return system


GENTLY = {"style_encoder": ("players.style.optimizer.lr=1e-4",)}
"""Options that keep players from diverging with `SGD`."""


TEXT = (
    "game=text_to_image",
    *("dataset.count=24", "dataset.test_count=8", "dataset.image_size=16", "dataset.caption_length=56"),
    *("model.condition.encoder.dim=6", "model.condition.encoder.widths=[6,6]", "model.condition.training.steps=1"),
)
INFOGAN = ("model.q.width=4", "game.codes.c1.size=3")


RAMP = "{_target_: gan_runner.optimizers.schedules.ramp, _partial_: true, start: 0.25, end: 0.75, steps: 2}"
SCHEDULED = (f"++players.discriminator.weights.gradient_penalty={RAMP}", f"regularizer.ema.decay={RAMP}")
"""A scheduled weight and a scheduled decay of an average."""


METHODS = [
    *(("mlp", loss, None, "points") for loss in LOSSES),
    *(("mlp", "wgan_gp", "historical_averaging", "points", f"play={play}") for play in names_in("play")),
    ("point", "minimax", "historical_averaging", "origin", "game=bilinear"),
    *(
        (
            "mlp",
            "lsgan",
            name,
            "image" if REFUSALS.refuses("mlp", "lsgan", name, "points") else "points",
            *GENTLY.get(name, ()),
        )
        for name in REGULARIZERS
    ),
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
    ("resnet", "non_saturating", "virtual_batch_norm", "image"),
    ("mlp", "mmd", None, "image", "game=moment_matching_codes"),
    ("resnet", "hinge", "spectral_norm", "image"),
    ("resnet", "wgan_gp", None, "image"),
    *(("dcgan", "non_saturating", None, "text", *TEXT, f"method={method}") for method in ("gan", "cls", "int")),
    ("dcgan", "wgan_gp", None, "text", *TEXT, "method=int_cls"),
    ("mlp", "relativistic_average", "style_encoder", "text", *TEXT, "method=int_cls", *GENTLY["style_encoder"]),
    ("infogan", "non_saturating", None, "image", "game=infogan", *INFOGAN),
    ("infogan", "wgan_gp", None, "image", "game=infogan", *INFOGAN, "game.codes.c2.std=null"),
    ("mlp", "wgan", "unrolled", "points", "game=infogan", *INFOGAN, "model.q.norm=none"),
    ("infogan", "hinge", None, "image", "game=gan_with_codes", *INFOGAN),
    ("dcgan", "lsgan", "virtual_batch_norm", "image", "game=infogan", *INFOGAN, "model.q.norm=virtual"),
    ("mlp", "wgan_gp", "r1", "points", "game=conditional"),
    ("two_branch", "non_saturating", None, "image", "game=conditional", "method=concat_maxout"),
    ("mlp", "non_saturating", "unrolled", "points", "game=conditional"),
    ("mlp", "hinge", "historical_averaging", "points", "game=conditional", "method=projection"),
    (
        "dcgan",
        "non_saturating",
        "ema",
        "image",
        "game=conditional",
        "method=ac_gan",
        "model.generator.norm=conditional",
    ),
    (
        "resnet",
        "hinge",
        "spectral_norm",
        "image",
        "game=conditional",
        "method=projection",
        "model.generator.norm=conditional",
    ),
    *(("real_nvp", "maximum_likelihood", None, kind) for kind in ("image", "points")),
    ("real_nvp", "wgan_gp", "likelihood", "points"),
    ("real_nvp", "non_saturating", "unrolled", "points", "model.generator.weight_norm=weight"),
    ("real_nvp_dcgan", "wgan_gp", None, "image"),
    ("real_nvp_dcgan", "hinge", "likelihood", "image", "model.generator.norm=layer"),
    ("gaussian", "lsgan", "likelihood", "points"),
    *(
        ("mlp", "non_saturating", None, "points", f"game={game}")
        for game in ("vae", "aae", "adversarial_vb", "age", "ali")
    ),
    ("mlp", "wgan_gp", None, "points", "game=gan_e"),
    ("salimans_mnist", "non_saturating", None, "image", "game=adversarial_vb"),
    ("mlp", "non_saturating", "feature_matching", "points", "game=autoencoding", "likelihood=[observer,synthetic]"),
    ("mlp", "hinge", "feature_matching", "points", "game=vae_gan"),
    ("mlp", "decoupled", None, "points", "game=alpha_gan", "loss@loss.aim=fgan_reverse_kl"),
    ("dcgan", "non_saturating", None, "image", "game=alpha_gan", "prior=approximate"),
    ("dcgan", "wgan_gp", "r1", "image", "game=ali", "encoder=deterministic"),
    *(("salimans_mnist", loss, None, "image") for loss in ("non_saturating", "mmd")),
    ("salimans_mnist", "feature_matching", None, "image", "game=semi_supervised"),
    ("salimans_mnist", "non_saturating", "minibatch_discrimination", "image", "game=semi_supervised"),
    ("dcgan", "non_saturating", None, "image", "game=semi_supervised", "model.discriminator.weight_norm=weight"),
    ("mlp", "hinge", "unrolled", "points", "game=conditional", "method=ac_gan"),
    ("mlp", "non_saturating", "unrolled", "points", "game=semi_supervised", "game.labelled.count=80"),
    ("mlp", "wgan_gp", "ema", "points", *SCHEDULED),
]
METHODS = [method for method in METHODS if method[4:] or not REFUSALS.refuses(*method[:4])]
MISSING = {
    group: [name for name in names if not any(name in (method[place] or "").split(",") for method in METHODS)]
    for group, place, names in (("model", 0, MODELS), ("loss", 1, LOSSES), ("regularizer", 2, REGULARIZERS))
}
METHODS += [
    *(method for loss in MISSING["loss"] for method in home(["mlp", *MODELS], [loss], None)),
    *(method for name in MISSING["regularizer"] for method in home(["mlp", *MODELS], LOSSES, name)),
    *(
        method
        for model in MISSING["model"]
        if model != "line"
        for method in home([model], ["non_saturating", *LOSSES], None)
    ),
]


OF_EACH_MECHANISM = {
    *(("mlp", loss, None, "points") for loss in ("wgan", "began", "mmd_rq", "wgan_gp")),
    *(("mlp", "lsgan", name, "points") for name in ("ema", "historical_averaging", "minibatch_discrimination")),
    ("mlp", "wgan_gp", "ema", "points", *SCHEDULED),
    ("mlp", "hinge", "historical_averaging", "points", "game=conditional", "method=projection"),
    ("mlp", "non_saturating", None, "points", "game=vae"),
    ("dcgan", "hinge", "spectral_norm", "image"),
    ("salimans_mnist", "feature_matching", None, "image", "game=semi_supervised"),
}
"""A method for each way in which a term, a layer, a constraint or a game may go wrong, for tests of some seconds."""


QUICKEST = {
    ("mlp", "began", None, "points"),
    ("mlp", "wgan_gp", "ema", "points", *SCHEDULED),
    ("mlp", "non_saturating", None, "points", "game=vae"),
    ("dcgan", "hinge", "spectral_norm", "image"),
    ("mlp", "lsgan", "historical_averaging", "points"),
}
"""The same for tests of several seconds: state of a loss, a schedule, an encoder, a layer, a constraint."""


def slow_unless(quick):
    """All methods as parameters of a test, marked slow if they are not among the quick ones."""
    assert {*METHODS} >= {*quick}
    marks = {method: [] if method in quick else [pytest.mark.slow] for method in METHODS}
    return [pytest.param(method, marks=marks[method], id=name_of(method)) for method in METHODS]


SGD = ("optimizer=sgd", "optimizer.lr=0.01")  # its rounding noise does not grow


def options_of(method, optimizer=SGD):
    """The overrides of a method, with two discriminator updates in a step. All tests over methods use the same."""
    return [*overrides(*method), *moves(method[1], 2, *method[4:]), *optimizer]


def some_steps(make_system, method, compiled=None, backend="aot_eager", optimizer=SGD, steps=12, dtype=torch.float64):
    """Parameters and buffers after some steps, eager or compiled by moves or iterations, and the reports."""
    torch.compiler.reset()
    system = make_system(*options_of(method, optimizer))
    nn.ModuleDict(system.networks).to(dtype)
    for player in system.players:
        player.stateful_modules().to(dtype)
    system.game.prepare(system.networks, Drawn(next(batches_in(dtype, system))), 8)
    if compiled == "moves":
        system.update_scheme = compile_moves(system.update_scheme, system.players, backend=backend)
    if compiled == "iteration":
        system.update_scheme = compile_iteration(system.update_scheme, system.players, backend=backend)
    batches = batches_in(dtype, system)
    torch.manual_seed(1)
    reports = [system.step(batches) for _ in range(steps)]
    state = dict(nn.ModuleDict(system.networks).state_dict())
    for player in system.players:
        state |= {f"{player.name} {name}": value for name, value in player.stateful_modules().state_dict().items()}
    return state, reports


def batches_in(dtype, system):
    for batch in batches_of(system):
        batch = {name: value.to(system.device) for name, value in batch.items()}
        yield {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}


class WithSpareLayer(MLPGenerator):
    """A generator with a layer that its samples do not depend on."""

    def __init__(self, **options):
        super().__init__(**options)
        with torch.random.fork_rng([]):
            self.spare = nn.Linear(2, 3)


WithSpareLayer.__init__.__signature__ = inspect.signature(MLPGenerator.__init__)  # the builder inspects it
SPARE_LAYER = ("trusted=[methods]", "model.generator._target_=methods.WithSpareLayer")


def name_of(method):
    return "-".join(filter(None, method))
