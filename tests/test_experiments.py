"""Every experiment of `conf/experiment`, made small: it composes, builds, steps and measures what it promises."""

import numpy as np
import pytest
import yaml
from conftest import CONF, TINY, compose_config, thinned
from PIL import Image

from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.signals import StopSignals
from gan_runner.train import Job, Trainer, setup

DRAWN = (
    *("dataset.count=40", "dataset.test_count=20", "model.condition.encoder.widths=[4,4]"),
    *("model.condition.encoder.dim=4", "model.condition.training.steps=1"),
)
"""Options that make drawn shapes with captions small."""


OF_FOLDERS = {
    "chen2016": (*TINY["infogan"], "metric.code_error.matched=16", "observer.traversals.rows=1"),
    "dziugaite2015": ("metric.parzen.validation=16", "metric.parzen.test=16"),
    "danihelka2017": (
        *("metric.independent_critic.steps=2", "metric.bits_per_dimension.n=16"),
        *("metric.latent_gaussianity.n=64", "model.generator.width=4"),
    ),
    "reed2016": (*DRAWN, "metric.caption_accuracy.classifier.steps=2"),
    "rosca2017": ("metric.independent_critic.steps=2", "extractor.steps=2", "model.generator.width=4"),
}
OF_CHOICES = {
    "semi_supervised_mnist": TINY["salimans_mnist"],
    "maxout": TINY["maxout"],
    "two_branch": TINY["two_branch"],
    "label_accuracy": ("extractor.steps=2",),
    "parzen": ("metric.parzen.validation=16", "metric.parzen.test=16"),
}
"""Options that make the costly parts of an experiment small, by its folder, and by what it chooses."""


def shrunk(experiment, content):
    """Options that make an experiment small."""
    paper = experiment.partition("/")[0]
    yield from OF_FOLDERS.get(paper, ())
    if FIRST_OF[paper] != experiment:
        yield "trainer.sample_every=0"
    for choice in content["defaults"]:
        for group, names in choice.items() if isinstance(choice, dict) else ():
            for name in [names] if isinstance(names, str) else names or []:
                yield from OF_CHOICES.get(name, ())
            if group.endswith("extractor"):
                yield "extractor.steps=2"
    if "stacked_mnist" in experiment:
        yield "metric.classified_modes.classifier.steps=2"


EXPERIMENTS = sorted(str(path.relative_to(CONF / "experiment"))[:-5] for path in (CONF / "experiment").rglob("*.yaml"))
FIRST_OF = {name.partition("/")[0]: name for name in reversed(EXPERIMENTS)}
"""The first experiment of each paper, which is run by `gan-run` and draws its pictures."""


SELDOM = [name for name in EXPERIMENTS if name not in FIRST_OF.values()]


@pytest.mark.parametrize("experiment", [*FIRST_OF.values(), *thinned(SELDOM, 8)])
def test_every_experiment_takes_two_steps(gan_run, tmp_path, experiment, request):
    small = ["trainer.steps=2", "observer.evaluation.samples=16", "trainer.batch_size=4", "logger.mode=disabled"]
    content = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    where = []
    if "mnist" in f"{experiment} {content['defaults']}":
        where = [f"dataset.root={request.getfixturevalue('data_root')}"]
    if content.get("full_scale"):  # neither its images nor Inception can be had everywhere
        captions = "text_to_image" in str(content["defaults"])
        data = ["dataset=captioned_shapes", *DRAWN] if captions else stand_in_photographs(tmp_path)
        has_critic = "celeba_mle" not in experiment
        where = [*data, "metric=[]", "objective=null", "~expected", *TINY["dcgan"][: 1 + has_critic]]
        where += ["dataset.held_out=2"] if "celeba_mle" in experiment else []
        where += ["game.labelled.count=4"] if {"override /game": "semi_supervised"} in content["defaults"] else []
    else:
        where += shrunk(experiment, content)
    options = [f"experiment={experiment}", *small, *where]
    if experiment == FIRST_OF[experiment.partition("/")[0]]:
        alone = ["hydra.mode=RUN"] if "hydra" in content else []  # sweeps of experiments have tests of their own
        code, _, err = gan_run(*options, *alone)
        assert code == 0, err
    else:
        assert_steps_and_measures(options, tmp_path)


def assert_steps_and_measures(options, folder):
    """Two steps with finite losses, after which the metrics are measured."""
    run, observers = setup(Job(compose_config(*options), RunDirectory(folder / "run"), overrides=options))
    trainer = Trainer(run, {name: observer for name, observer in observers.items() if not observer.writes})
    trainer.start()
    events = [run.advance(StopSignals()) for _ in range(2)]
    trainer.observe(events[-1])
    assert not events[-1].non_finite


def stand_in_photographs(folder):
    """Options for a few images of noise, of CIFAR-10's size, in two classes."""
    for number in range(8):
        place = folder / "photographs" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(256, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return ["dataset=image_folder", f"dataset.root={folder / 'photographs'}", "dataset.image_size=32"]
