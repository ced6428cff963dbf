"""No value that depends on the test split chooses a checkpoint while a run goes on."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from conftest import names_in
from omegaconf import OmegaConf

from gan_runner.config.instantiate import build
from gan_runner.config.paths import CONF
from gan_runner.datasets.digits import Digits
from gan_runner.errors import ConfigError
from gan_runner.metrics.base import directions_of, metric
from gan_runner.metrics.classification import ClassificationError
from gan_runner.metrics.evaluator import Evaluator, split_during_training
from gan_runner.metrics.independent_critic import independent_critic
from gan_runner.metrics.parzen import choose_sigma, log_likelihood, parzen
from gan_runner.observers.build import check_objective
from gan_runner.observers.evaluation import Evaluation
from gan_runner.runs.event import StepEvent

CPU = torch.device("cpu")
ALL = ("train", "validation", "test")


@dataclass(frozen=True)
class Splits(Digits):
    """Digits with a test split that takes part in nothing, and that knows when it is read."""

    readable: bool = False

    @property
    def splits(self):
        return ALL

    def load(self, device, split="train"):
        assert split != "test" or self.readable, "a metric has read the test split"
        return super().load(device, "validation" if split == "test" else split)


def system_of(dataset):
    """A generator of dim digits."""
    images = 0.9 * dataset.load(CPU).real(400)
    return SimpleNamespace(
        dataset=dataset,
        loss=None,
        device=CPU,
        noise=lambda n, seed: torch.arange(n).unsqueeze(1),
        game=SimpleNamespace(),
        sample=lambda noise: images[noise[:, 0]],
    )


SEES_HELD_OUT = {
    "parzen_nats": partial(parzen, validation=100),
    "independent_wasserstein": partial(independent_critic, steps=2),
}


@pytest.mark.parametrize("name", SEES_HELD_OUT)
def test_metrics_of_held_out_data_take_validation_data_during_a_run_and_test_data_afterwards(name):
    dataset = Splits(image_size=8, held_out=600)
    during = Evaluator(system_of(dataset), {"a": SEES_HELD_OUT[name]}, 300, 0, selecting=True)
    during.measure()
    assert during.conditions[name]["split"] == "validation"
    assert not during.of_test
    afterwards = Evaluator(system_of(Splits(image_size=8, held_out=600, readable=True)), during.metrics, 300, 0)
    afterwards.measure()
    assert afterwards.conditions[name]["split"] == "test"
    assert name in afterwards.of_test


@pytest.mark.parametrize(("validation", "first"), [(100, 100), (1000, 300)])
def test_parzen_measures_on_validation_images_that_did_not_choose_its_width(validation, first):
    dataset = Splits(image_size=8, held_out=600)
    evaluator = Evaluator(system_of(dataset), {"a": partial(parzen, validation=validation)}, 200, 0, selecting=True)
    found = evaluator.measure()
    images = (dataset.load(CPU, "validation").real(600).flatten(1) + 1) / 2
    samples = (evaluator.system.sample(evaluator.noise).flatten(1) + 1) / 2
    sigma = choose_sigma(images[:first], samples, [10 ** (i / 9 - 1) for i in range(10)])
    assert found["parzen_sigma"] == sigma
    assert found["parzen_nats"] == pytest.approx(log_likelihood(images[first:], samples, sigma).mean().item())


@metric(brightness=max)
def brightness_of_test(results):
    """A metric that reads the test split, and does not say so."""
    return {"brightness": results.reference.split("test").real(10).mean().item()}


def test_a_metric_that_reads_the_test_split_has_no_best_step():
    system = system_of(Splits(image_size=8, held_out=600, readable=True))
    observer, event = Evaluation(every=1, samples=100), StepEvent(1)
    observer.start(SimpleNamespace(system=system, metrics={"a": brightness_of_test}, data=None))
    observer.observe(event)
    assert event.measurements["brightness"].better is None
    assert event.scalars["metric/brightness"] == event.measurements["brightness"].value


@pytest.mark.parametrize("option", names_in("metric"))
def test_every_metric_prefers_validation_data_during_a_run(option):
    for name, node in OmegaConf.load(CONF / "metric" / f"{option}.yaml").get("metric", {}).items():
        if "${" in str(node) or name == "caption_accuracy":
            continue
        measured = build(f"metric.{name}", node)
        assert split_during_training(measured, ALL, "train") != "test"
        for objective in directions_of(measured):
            check_objective(objective, {name: measured}, {"evaluation": Evaluation(every=1)}, Splits())


@pytest.mark.parametrize(
    ("measured", "objective", "splits", "split"),
    [
        (independent_critic, "independent_wasserstein", ("train", "test"), "train"),
        (ClassificationError(), "errors", ("train", "test"), "train"),
        (ClassificationError("test"), "errors", ALL, "train"),
        (brightness_of_test, "brightness", ALL, "test"),
    ],
)
def test_an_objective_on_the_test_split_is_refused(measured, objective, splits, split):
    observers = {"evaluation": Evaluation(every=1, split=split)}
    dataset = SimpleNamespace(splits=splits)
    check_objective(None, {"name": measured}, observers, dataset)
    with pytest.raises(
        ConfigError, match=rf"objective={objective} would choose .* test split, .* metric=name measures"
    ):
        check_objective(objective, {"name": measured}, observers, dataset)
