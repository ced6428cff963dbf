"""Whether a classifier sees what samples were made for."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.extractors.base import Features, LoadedExtractor
from gan_runner.extractors.classifier import Classifier
from gan_runner.metrics.features import LabelAccuracy
from gan_runner.metrics.results import Reference, Results
from gan_runner.models.conditions import LabelCondition

ATTRIBUTES = Attributes(("red", "green", "small", "round", "flat"), (("red", "green"), ("round", "flat")))


@dataclass(frozen=True)
class ReadsPixels(Classifier):
    """Takes the pixels of an image for logits."""

    title: ClassVar[str] = "pixels"

    def open(self, dataset, device):
        return LoadedExtractor(lambda images: Features(images.flatten(1), images.flatten(1)), "pixels")


def measured(labels, rows, sample):
    """Figures of samples that a game makes for these rows of latents and conditions."""
    networks = {"condition": LabelCondition(labels)}
    system = SimpleNamespace(networks=networks, dataset=None, loss=None, sample=sample)
    return LabelAccuracy(ReadsPixels())(Results(system, rows, Reference(None, len(rows), torch.device("cpu"))))


def parrot(dim):
    """A generator that paints its condition: images (n, 1, 1, dim), +1 where it is 1, else −1."""
    return lambda rows: (2 * rows[:, -dim:] - 1).view(-1, 1, 1, dim)


def rows_for(vectors):
    """Rows with these conditions, beside latents that say something else."""
    return torch.cat([5 * torch.randn(len(vectors), 2), vectors], 1)


def test_that_a_generator_that_follows_its_labels_has_accuracy_one():
    classes, vectors = Classes(("a", "b", "c")), torch.eye(3)[[0, 1, 2, 2, 1]]
    assert measured(classes, rows_for(vectors), parrot(3)) == {"accuracy_pixels": 1.0}
    truth = torch.tensor([[1.0, 0, 1, 0, 1], [0, 1, 0, 1, 0]])
    found = measured(ATTRIBUTES, rows_for(truth), parrot(5))
    assert found == {"accuracy_pixels": 1.0, "accuracy_pixels_faultless": 1.0}


def test_of_samples_that_show_something_else_the_rest_are_right():
    classes, vectors = Classes(("a", "b", "c")), torch.eye(3)[[0, 1, 2, 2, 1]]
    wrong = vectors.clone()
    wrong[1], wrong[4] = torch.eye(3)[0], torch.eye(3)[2]
    assert measured(classes, rows_for(vectors), lambda rows: wrong.view(-1, 1, 1, 3)) == {"accuracy_pixels": 3 / 5}


def test_of_attributes_each_question_counts_and_an_image_is_faultless_only_with_all_right():
    truth = torch.tensor([[1.0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [1, 0, 0, 1, 0], [0, 1, 1, 0, 1]])
    shown = truth.clone()
    shown[0, 2] = 0  # the first is not small
    shown[1] = torch.tensor([1.0, 0, 0, 0, 1])  # the second is red instead of green, and flat instead of round
    found = measured(ATTRIBUTES, rows_for(truth), lambda rows: (2 * shown - 1).view(-1, 1, 1, 5))
    assert found == {"accuracy_pixels": pytest.approx(9 / 12), "accuracy_pixels_faultless": 0.5}
