"""Codes as classifiers: matched as brute force would, on other data than errors are counted on."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from conftest import TINY

from gan_runner.config.resolve import resolve
from gan_runner.datasets.images import ResidentImages
from gan_runner.datasets.labels import Classes
from gan_runner.errors import ConfigError
from gan_runner.metrics.codes import CodeError, MutualInformation, assignment
from gan_runner.metrics.evaluator import Evaluator, build_metrics
from gan_runner.models.codes import Categorical, Codes, Uniform

CODES = {"u": Uniform(1), "c": Categorical(4)}


def test_assignment_is_the_best_of_all_permutations():
    torch.manual_seed(1)
    for _ in range(5):
        categories, labels = torch.randint(4, (60,)), torch.randint(4, (60,))
        hits = max((torch.tensor(p)[categories] == labels).sum().item() for p in itertools.permutations(range(4)))
        assert (assignment(categories, labels, 4)[categories] == labels).sum().item() == hits


def test_names_of_categories_do_not_matter():
    labels = torch.randint(5, (200,))
    noisy = torch.where(torch.rand(200) < 0.2, torch.randint(5, (200,)), labels)
    renamed = torch.tensor([3, 0, 4, 1, 2])
    first, second = assignment(noisy, labels, 5), assignment(renamed[noisy], labels, 5)
    assert torch.equal(first[noisy], second[renamed[noisy]])


def test_of_more_categories_than_classes_some_stand_for_none():
    matched = assignment(torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([1, 1, 1, 1, 0, 0]), 4)
    assert matched.tolist() == [1, -1, 0, -1]


def data_with(labels, shades):
    """Images of one grey, of which Q will read the category, with these labels."""
    images = torch.tensor(shades, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return ResidentImages("greys", images, torch.tensor(labels), flip=False)


def reads_greys(x):
    """Q's outputs (n, 5): a mean of u, and logits by which the category is the grey of x."""
    category = ((x.mean((1, 2, 3)) + 1) * 127.5).round().long()
    return torch.cat([torch.zeros(len(x), 1), 9 * torch.eye(4)[category]], 1)


def system_with(codes, infer_codes):
    """A game with these codes, of whose samples a network says what a function does."""
    game = SimpleNamespace(codes=codes.codes, joint=codes)
    game.codes_in, game.traversal = lambda rows: rows, lambda rows, name, k: rows
    game.infer_codes = lambda networks, x: infer_codes(x)
    return SimpleNamespace(game=game, sampling_networks=dict, device=torch.device("cpu"))


def results_of(selecting=False, **splits):
    system = system_with(Codes(CODES), reads_greys)
    reference = SimpleNamespace(split=splits.get, selecting=selecting)
    return SimpleNamespace(system=system, dataset=SimpleNamespace(splits=tuple(splits)), reference=reference)


def test_errors_are_counted_on_another_split_than_categories_are_matched_on():
    """Training says that grey 2 is a zero, 0 a one, 3 a two and 1 a three; one in five of the test says otherwise."""
    train = data_with([0, 1, 2, 3] * 5, [2, 0, 3, 1] * 5)
    test = data_with([0, 1, 2, 3, 3], [2, 0, 3, 1, 0])
    assert CodeError(matched=20)(results_of(train=train, test=test)) == {"code_error": pytest.approx(20.0)}
    other = data_with([0, 1, 2, 3] * 5, [0, 2, 1, 3] * 5)
    assert CodeError(matched=20)(results_of(train=other, test=test)) == {"code_error": pytest.approx(100.0)}


def test_while_a_run_goes_on_errors_are_those_of_the_validation_split():
    train, test = data_with([0, 1, 2, 3] * 5, [2, 0, 3, 1] * 5), data_with([0, 1, 2, 3, 3], [2, 0, 3, 1, 0])
    validation = data_with([0, 1], [2, 1])
    metric = CodeError(matched=20)
    everything = {"train": train, "validation": validation, "test": test}
    assert metric(results_of(selecting=True, **everything)) == {"code_error": pytest.approx(50.0)}
    assert metric.conditions["split"] == "validation"
    assert metric(results_of(selecting=False, **everything)) == {"code_error": pytest.approx(20.0)}
    assert metric.conditions["split"] == "test"
    assert metric(results_of(selecting=True, train=train, test=test)) == {"code_error": pytest.approx(20.0)}
    matched_elsewhere = CodeError(matched_on="validation", matched=2)
    matched_elsewhere(results_of(selecting=True, **everything))
    assert matched_elsewhere.conditions["split"] == "test"


def test_points_are_drawn_for_it(hydra_config, make_system, monkeypatch):
    options = ["game=infogan", "dataset=ring8", "model=mlp", "metric=[code_error]", "game.codes.c1.size=8"]
    options += ["metric.code_error.matched=500", *TINY["mlp"]]
    system = make_system(*options)
    centres = system.dataset.modes
    says = lambda system, x: torch.cat([-torch.cdist(x, centres), torch.zeros(len(x), 2)], 1)  # noqa: E731
    monkeypatch.setattr("gan_runner.metrics.codes.infer_codes", says)
    evaluator = Evaluator(system, build_metrics(resolve(hydra_config(*options)), system), 10, 0)
    assert evaluator.measure()["code_error"] < 0.1
    assert evaluator.conditions["code_error"]["split"] == "test"


@pytest.mark.parametrize("right", [True, False])
def test_information_is_log_size_where_q_is_always_right_and_nothing_where_it_knows_nothing(right):
    codes = Codes({"c": Categorical(4)})
    rows = codes.draw(400, torch.device("cpu"))
    system = system_with(codes, lambda samples: 50 * samples if right else torch.zeros(len(samples), 4))
    found = MutualInformation(codes.codes)(SimpleNamespace(system=system, samples=rows, noise=rows))
    expected = pytest.approx(math.log(4) if right else 0.0, abs=1e-9)
    assert found == {"mutual_information": expected, "mutual_information_c": expected}
    assert set(MutualInformation(codes.codes).directions) == set(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["metric=[mutual_information]"], "this game has none; choose game=infogan"),
        (["metric=[code_error]"], "this game has none; choose game=infogan"),
        (
            ["game=infogan", "metric=[code_error]"],
            "errors need another split, and this dataset only has train; choose",
        ),
        (
            ["game=infogan", "metric=[code_error]", "metric.code_error.measured_on=test"],
            "measured_on=test, but this dataset only has train",
        ),
        (
            ["game=infogan", "metric=[code_error]", "metric.code_error.code=c2"],
            "no categorical code c2; set .* to c1",
        ),
        (
            ["game=infogan", "metric=[code_error]", "~game.codes.c1"],
            "a categorical code, and this game has none; leave",
        ),
        (
            ["game=infogan", "metric=[code_error]", "metric.code_error.measured_on=train"],
            "are both train; choose different splits",
        ),
    ],
)
def test_that_unsuitable_systems_are_refused(hydra_config, make_system, options, message):
    options = [*options, "model=dcgan", *TINY["dcgan"]]
    with pytest.raises(ConfigError, match=message):
        build_metrics(resolve(hydra_config(*options)), make_system(*options))


def test_data_without_classes_is_refused(make_system):
    system = make_system("game=infogan", "model=dcgan", *TINY["dcgan"])
    dataset = SimpleNamespace(labels=None, splits=("train", "test"))
    with pytest.raises(ValueError, match="the labels of this dataset are not classes"):
        CodeError().check(SimpleNamespace(game=system.game, dataset=dataset))


def test_a_validation_split_will_do(hydra_config, make_system):
    options = ["game=infogan", "metric=[code_error]", "dataset.held_out=40", "metric.code_error.measured_on=validation"]
    options += ["metric.code_error.matched=50", "model=dcgan", *TINY["dcgan"]]
    system = make_system(*options)
    assert isinstance(system.dataset.labels, Classes)
    metric = build_metrics(resolve(hydra_config(*options)), system)["code_error"]
    splits = {split: system.dataset.load(system.device, split) for split in ("train", "validation")}
    reference = SimpleNamespace(split=splits.get, selecting=False)
    found = metric(SimpleNamespace(system=system, dataset=system.dataset, reference=reference))
    assert found["code_error"] * 40 / 100 == pytest.approx(round(found["code_error"] * 40 / 100))
    assert metric.conditions == {"split": "validation", "matched_on": "train", "matched": 50}
