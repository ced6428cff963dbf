"""Whether images show what sentences say."""

from dataclasses import dataclass

import pytest
import torch
from methods import TEXT, Drawn, batches_of

from gan_runner.datasets.shapes import CaptionedShapes
from gan_runner.errors import ConfigError
from gan_runner.extractors.base import Features, LoadedExtractor
from gan_runner.extractors.classifier import Classifier
from gan_runner.metrics.captions import QUESTIONS, CaptionAccuracy, accuracies, mentioned_groups, with_all_pairs
from gan_runner.metrics.evaluator import Evaluator, build_metrics
from gan_runner.metrics.results import Reference, Results
from gan_runner.requirements import check_requirements

SMALL = CaptionedShapes(image_size=16, count=400, test_count=50, caption_length=56, workers=0)


def test_that_accuracies_agree_with_a_hand_count():
    hits = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 1, 1]]).bool()
    asked = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 1], [1, 1, 1, 0, 0]]).bool()
    found = accuracies(hits, asked)
    assert found["caption_accuracy"] == pytest.approx(7 / 10)
    assert found["caption_colour_and_shape"] == pytest.approx(1 / 3)
    by_group = [found[f"caption_{question}"] for question in QUESTIONS]
    assert by_group == pytest.approx([2 / 3, 2 / 3, 1, 0, 1])
    assert found.keys() == CaptionAccuracy.directions.keys()


def test_what_captions_do_not_speak_of_is_not_asked_for():
    _, mentioned = SMALL.captions(50, "test")
    asked = mentioned_groups(SMALL, mentioned)
    assert asked[:, :2].all()  # every one names colour and shape
    assert 0.2 < asked[:, 2:].double().mean() < 0.8
    assert torch.equal(asked.sum(1), mentioned.sum(1).long())


def test_that_the_classifier_is_trained_on_all_pairs():
    whole = with_all_pairs(SMALL)
    label = whole.load(torch.device("cpu")).first(400)["label"]
    pairs = {(row[:8].argmax().item(), row[8:16].argmax().item()) for row in label}
    unseen = {(SMALL.colours.index(colour), SMALL.shapes.index(shape)) for colour, shape in SMALL.unseen_pairs}
    assert unseen <= pairs
    assert whole.splits == ("train", "validation")


def test_that_perfect_logits_match_their_own_captions_and_not_others():
    data = SMALL.load(torch.device("cpu"), "test")
    seen, mentioned = data.first(50)["label"].double(), data.captions(50)[1]
    asked = mentioned_groups(SMALL, mentioned)
    assert set(accuracies(SMALL.labels.correct(seen, mentioned), asked).values()) == {1.0}
    wrong = accuracies(SMALL.labels.correct(seen.roll(1, 0), mentioned), asked)
    assert wrong["caption_accuracy"] < 0.5
    assert wrong["caption_colour_and_shape"] < 0.2


class Recalls:
    """A game of images of the test split: for its i-th caption, whose φ is i, it makes the image at place order[i]."""

    dim = 1

    def __init__(self, order):
        data = SMALL.load(torch.device("cpu"), "test")
        self.codes, self.mentioned = data.captions(len(order))
        self.images = data.first(len(order))["data"][order]
        self.networks = {"condition": self}
        self.dataset, self.loss = SMALL, None

    def phi(self, codes):
        return (codes.unsqueeze(1) == self.codes).all(2).int().argmax(1, keepdim=True).float()

    def sample(self, rows):
        return self.images[rows[:, -1].long()]


@dataclass(frozen=True)
class Knows(Classifier):
    """A classifier that is always right about images of the test split, and was to be shown all pairs."""

    def open(self, dataset, device):
        assert dataset.unseen == 0
        known = SMALL.load(device, "test").first(50)

        def extract(images):
            which = torch.cdist(images.flatten(1), known["data"].flatten(1)).argmin(1)
            logits = 9 * (2 * known["label"][which].double() - 1)
            return Features(logits, logits)

        return LoadedExtractor(extract, "knows")


def test_that_a_perfect_generator_scores_one_and_a_wrong_one_at_chance():
    metric, reference = CaptionAccuracy(Knows()), Reference(SMALL, 50, torch.device("cpu"))
    metric.prepare(reference)
    order = torch.arange(50)
    right, wrong = (
        metric(Results(game, torch.zeros(50, 4), reference)) for game in (Recalls(order), Recalls(order.flip(0)))
    )
    assert right == dict.fromkeys(CaptionAccuracy.directions, 1.0)
    assert wrong["caption_colour"] < 0.3  # chance is 1/8
    assert wrong["caption_colour_and_shape"] < 0.2  # 1/16, the test split has so many pairs
    assert wrong["caption_accuracy"] < 0.4


def test_a_run_is_measured(hydra_config, make_system, monkeypatch):
    tiny = ("model.generator.width=4", "model.discriminator.width=4", "metric=[caption_accuracy]")
    options = (*TEXT, *tiny, "metric.caption_accuracy.classifier.steps=2")
    system = make_system(*options)
    system.game.prepare(system.networks, Drawn(next(batches_of(system))), 8)
    evaluator = Evaluator(system, build_metrics(hydra_config(*options), system), 20, 0)
    evaluator.prepare()
    found = evaluator.measure()
    assert set(found) == set(CaptionAccuracy.directions)
    assert all(0 <= value <= 1 for value in found.values())
    assert evaluator.conditions["caption_accuracy"]["split"] == "test"
    metrics = build_metrics(hydra_config(*options, "metric.caption_accuracy.split=train"), system)
    asked = []
    captions = CaptionedShapes.captions
    monkeypatch.setattr(
        CaptionedShapes, "captions", lambda data, n, split: asked.append(split) or captions(data, n, split)
    )
    evaluator = Evaluator(system, metrics, 20, 0)
    evaluator.measure()
    assert asked == [evaluator.conditions["caption_accuracy"]["split"]] == ["train"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("dataset=digits",), "choose dataset=captioned_shapes"),
        (("dataset=captioned_shapes", "dataset.count=10", "dataset.unseen=0"), "choose dataset=captioned_shapes"),
        (("dataset=captioned_shapes", "dataset.count=10"), "choose game=text_to_image"),
        ((*TEXT, "metric.caption_accuracy.split=validation"), "this dataset has no split validation; set split to"),
    ],
)
def test_that_unsuitable_systems_are_refused(make_system, hydra_config, options, message):
    options = (*options, "metric=[caption_accuracy]", "model=mlp")
    with pytest.raises(ConfigError, match=message):
        build_metrics(hydra_config(*options), make_system(*options))


def test_requirements_are_those_of_the_metric(make_system):
    system = make_system(*TEXT, "model.generator.width=4", "model.discriminator.width=4")
    check_requirements(CaptionAccuracy(Classifier()), system)
