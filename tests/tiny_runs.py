"""Runs that are small enough for tests, and their results."""

import json

import torch
from methods import TEXT

from gan_runner.config.documents import read_yaml
from gan_runner.config.paths import CONF
from gan_runner.plots.trajectories import NAME

TINY_RUN = [
    "experiment=smoke",
    "model.generator.width=8",
    "model.discriminator.width=8",
    "trainer.steps=4",
    "trainer.log_every=2",
    "trainer.sample_every=0",
    "trainer.evaluate_every=2",
    "trainer.checkpoint_every=2",
    "observer.evaluation.samples=50",
    "logger.mode=disabled",
]
PICTURE = "trainer.sample_every=4"
"""A picture at the end of a `TINY_RUN`. It takes a third of the time, so only tests of pictures use it."""


DEFAULT_OBSERVERS = [str(name) for name in read_yaml(CONF / "observer/default.yaml") if name != "defaults"]


RESUMED = {
    "plain": ["trainer.sample_every=3"],
    "remembering": ["regularizer=[historical_averaging,ema,spectral_norm]", "scheduler=linear"],
    "penalised": ["loss=wgan_gp", "regularizer=[virtual_batch_norm]"],
    "played": ["play=extragradient", "optimizer=optimistic_adam"],
    "augmented": [
        "dataset=digits",
        "trainer.sample_every=3",
        "regularizer=[ada,instance_noise,lecam]",
        "regularizer.ada.images=64",
    ],
    "measured": [
        "dataset=digits",
        "metric=[sliced_wasserstein,frechet_distance,precision_recall]",
        "extractor.steps=3",
        "extractor.width=4",
    ],
    "classifying": ["game=semi_supervised", "game.labelled.count=80", "model.discriminator.weight_norm=weight"],
    "conditional": ["game=conditional", "regularizer=[virtual_batch_norm]", "dataset=digits"],
    "worded": [*TEXT, "dataset=captioned_shapes", "regularizer=[style_encoder]", "regularizer.style_encoder.width=4"],
    "streamed": ["dataset=digits", "dataset.resident=false", "dataset.flip=true", "dataset.workers=1"],
}


def assert_equal(a, b, where=""):
    """Assert that nested containers of tensors and values are equal bit by bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), f"{where}: {str(a)[:200]} and {str(b)[:200]}"
        for number, (x, y) in enumerate(zip(a, b)):
            assert_equal(x, y, f"{where}/{number}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, f"{where}: {str(a)[:200]} and {str(b)[:200]}"


CLOCK = ("steps_per_second", "elapsed_s", "data_wait_fraction", "metric_time_fraction", "peak_memory_gb", "wandb_id")
"""Values that differ between two runs of the same command."""


def without_clock(values):
    return {key: value for key, value in values.items() if key not in CLOCK}


def outcome(run):
    """The results of a run: parameters, random states, metrics without times, pictures, files."""
    kept = ("system", "random", "best", "drawn", "step")
    states = {path.name: torch.load(path, weights_only=True) for path in (run / "checkpoints").iterdir()}
    summary = without_clock(json.loads((run / "summary.json").read_text()))
    return {
        "checkpoints": {name: {key: state[key] for key in kept} for name, state in states.items()},
        "metrics": [without_clock(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()],
        "summary": {**summary, "final": without_clock(summary["final"])},
        "pictures": {path.name: path.read_bytes() for path in run.glob("samples/*")},
        "typed": (run / "overrides.yaml").read_text(),
        "chosen": (run / "config.yaml").read_text(),
        "files": sorted(path.name for path in run.iterdir()),
        "points": (run / NAME).read_text() if (run / NAME).exists() else None,
    }
