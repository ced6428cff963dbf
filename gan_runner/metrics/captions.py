"""Caption accuracy: whether generated images show what their captions mention."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gan_runner.datasets.base import Split
from gan_runner.datasets.shapes import CaptionedShapes
from gan_runner.extractors.classifier import TrainedClassifier
from gan_runner.metrics.results import CHUNK, Reference, Results
from gan_runner.models.conditions import TextCondition
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.system import System

QUESTIONS = ("colour", "shape", "size", "position", "background")
"""The groups of attributes of `CaptionedShapes`."""

VALUES = ("caption_accuracy", "caption_colour_and_shape", *(f"caption_{group}" for group in QUESTIONS))


def needs_captioned_shapes(system: System) -> None:
    """Require captions of drawn shapes with unseen pairs, and a generator conditioned on text."""
    if not isinstance(system.dataset, CaptionedShapes) or not system.dataset.has_test:
        raise ValueError(
            "it scores captions of unseen pairs of colour and shape; choose dataset=captioned_shapes with "
            "dataset.unseen above 0, or leave it out"
        )
    if not isinstance(system.networks.get("condition"), TextCondition):
        raise ValueError("it generates images from captions; choose game=text_to_image, or leave it out")


@dataclass(frozen=True)
class CaptionAccuracy:
    """The fraction of the attributes in captions that a classifier finds in the generated images.

    On captions of the test split, whose pairs of colour and shape are never trained on, this measures zero-shot
    generalisation. The classifier itself is trained on all pairs, so that it recognises the unseen ones.

    Args:
        classifier: classifier of the attributes.
        split: split of the captions.
    """

    classifier: TrainedClassifier
    split: Split = "test"

    directions: ClassVar = dict.fromkeys(VALUES, max)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Captions of drawn shapes, and the split."""
        return (needs_captioned_shapes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the dataset does not have the split."""
        if self.split not in system.dataset.splits:
            raise ValueError(
                f"this dataset has no split {self.split}; set split to {' or '.join(system.dataset.splits)}"
            )

    @property
    def conditions(self) -> dict[str, Any]:
        """The classifier and the split of the captions."""
        return {"classifier": self.classifier.name, "split": self.split}

    def prepare(self, reference: Reference) -> None:
        """Train the classifier."""
        reference.load_extractor(self.classifier, with_all_pairs(reference.dataset))

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the fraction of correct attributes, and of images with both colour and shape correct."""
        dataset: Any = results.dataset
        codes, mentioned = dataset.captions(len(results.noise), self.split)
        condition: Any = results.system.networks["condition"]
        with torch.no_grad():
            conditions = torch.cat([condition.phi(some) for some in codes.to(results.noise.device).split(CHUNK)])
        rows = torch.cat([results.noise[:, : -condition.dim], conditions], 1)
        classifier = results.reference.load_extractor(self.classifier, with_all_pairs(dataset))
        logits = torch.cat([classifier.extract(results.system.sample(some)).logits for some in rows.split(CHUNK)])
        correct = dataset.labels.correct(logits.cpu(), mentioned.cpu())
        return accuracies(correct, mentioned_groups(dataset, mentioned.cpu()))


def with_all_pairs(dataset: Any) -> Any:
    """Return the dataset with no unseen pairs, and a validation split to measure the classifier on."""
    return replace(dataset, unseen=0, held_out=min(2000, dataset.count // 10))


def mentioned_groups(dataset: CaptionedShapes, mentioned: Tensor) -> Tensor:
    """Return whether captions that mention attributes (n, dim) mention each group: booleans (n, groups)."""
    return torch.stack([mentioned[:, indices].any(1) for indices in dataset.labels.predictions], 1)


def accuracies(correct: Tensor, mentioned: Tensor) -> dict[str, float]:
    """Return the values of the metric, given which groups are correct and which are mentioned (n, groups)."""
    right = correct & mentioned
    by_group = right.double().sum(0) / mentioned.double().sum(0)  # NaN for a group that is never mentioned
    return {
        "caption_accuracy": (right.sum() / mentioned.sum()).item(),
        "caption_colour_and_shape": right[:, :2].all(1).double().mean().item(),
        **{f"caption_{group}": accuracy for group, accuracy in zip(QUESTIONS, by_group.tolist())},
    }
