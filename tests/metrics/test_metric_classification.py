"""Errors of a game's classifier."""

from types import SimpleNamespace

import pytest
import torch
from conftest import TINY

from gan_runner.datasets.toy import Ring
from gan_runner.errors import ConfigError
from gan_runner.metrics.classification import ClassificationError, misclassified, resolve_split
from gan_runner.metrics.evaluator import Evaluator, build_checked
from gan_runner.metrics.results import Reference, Results
from gan_runner.observers.evaluation import Evaluation
from gan_runner.requirements import check_requirements
from gan_runner.sampling.inference import classify

OPTIONS = ["game=semi_supervised", "model=salimans_mnist", "dataset.image_size=8", *TINY["salimans_mnist"]]


def test_mistakes_are_counted_once_an_image(make_system):
    system = make_system(*OPTIONS, "dataset.held_out=200")
    metric = ClassificationError()
    evaluator = Evaluator(system, {"classification_error": metric}, 10, 0)
    check_requirements(metric, system)
    found = evaluator.measure()
    every = next(system.dataset.load(system.device, "validation").epoch(200))
    wrong = (classify(system, every["data"]).argmax(1) != every["label"]).sum().item()
    assert found == {"errors": wrong, "error_rate": wrong / 200}
    assert evaluator.conditions["errors"] == {"split": "validation", "images": 200}


@pytest.mark.parametrize("wrong", [0, 3, 10])
def test_of_a_classifier_that_is_right_but_for_some(wrong):
    label = torch.arange(10)
    scores = torch.nn.functional.one_hot((label + (label < wrong)) % 10, 10).float()
    assert misclassified(scores, label).sum() == wrong


def test_points_are_drawn_for_it():
    dataset = Ring()
    centres = dataset.modes
    game = SimpleNamespace(classify=lambda networks, x: -torch.cdist(x, centres))
    system = SimpleNamespace(dataset=dataset, loss=None, game=game, sampling_networks=dict, device=torch.device("cpu"))
    found = ClassificationError()(Results(system, None, Reference(dataset, 5, torch.device("cpu"))))
    assert found["errors"] / 10_000 == found["error_rate"] < 1e-3


def test_the_split_is_one_that_is_there(make_system):
    assert resolve_split(Ring(), None) == "test"
    assert resolve_split(Ring(), "validation") == "validation"
    assert resolve_split(Ring(), None, selecting=True) == "validation"
    assert resolve_split(Ring(), "test", selecting=True) == "test"
    system = make_system(*OPTIONS)
    assert resolve_split(system.dataset, None) == "train"
    with pytest.raises(ValueError, match="this dataset has no split test; set split to train"):
        check_requirements(ClassificationError("test"), system)


def test_a_run_that_goes_on_looks_at_no_test_image_where_others_are_held_out(make_system):
    system = make_system(*OPTIONS, "dataset.held_out=200")
    run = SimpleNamespace(system=system, metrics={}, data=None, config=None, measured_on={})
    observer = Evaluation(every=0)
    observer.start(run)
    assert observer.evaluator.reference.selecting
    assert not Evaluator(system, {}, 10, 0).reference.selecting  # gan-eval, afterwards


def test_nothing_is_chosen_by_test_images(hydra_config):
    settings = ("salimans2016/mnist_100", "salimans2016/svhn_1000", "chen2016/mnist", "reed2016/zero_shot_cls")
    chosen = [hydra_config(f"experiment={name}") for name in settings]
    assert [config.objective for config in [*chosen, hydra_config("game=semi_supervised")]] == 5 * [None]
    assert all(config.dataset.get("held_out", 0) == 0 for config in chosen)  # else they might choose by those


def test_a_game_that_does_not_classify_is_refused(hydra_config, make_system):
    config = hydra_config("metric=[classification_error]")
    with pytest.raises(ConfigError, match="classification_error: this game does not classify; choose game=semi"):
        build_checked("metric", config, make_system(), "metric=")
