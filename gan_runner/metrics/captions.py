"""Whether images show what the sentences say that they were made for."""

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
"""What the groups of attributes of drawn shapes are."""

FIGURES = ("caption_accuracy", "caption_colour_and_shape", *(f"caption_{question}" for question in QUESTIONS))


def needs_captioned_shapes(system: System) -> None:
    """Sentences must say what a classifier can be asked for."""
    if not isinstance(system.dataset, CaptionedShapes) or not system.dataset.has_test:
        raise ValueError(
            "it reads what captions of unseen pairs of colour and shape say; choose dataset=captioned_shapes with "
            "dataset.unseen, or leave it out"
        )
    if not isinstance(system.networks.get("condition"), TextCondition):
        raise ValueError("it asks for images of sentences; choose game=text_to_image, or leave it out")


@dataclass(frozen=True)
class CaptionAccuracy:
    """Which share of what captions say is seen in the images made for them: by those of the test split zero-shot.

    The judge is trained on drawings of all pairs of colour and shape, those that the players never see among them: one
    that had missed them, too, would judge by what it had not learnt.

    Args:
        classifier: of the attributes.
        split: whose captions.
    """

    classifier: TrainedClassifier
    split: Split = "test"

    directions: ClassVar = dict.fromkeys(FIGURES, max)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Sentences of drawn shapes, and the split."""
        return (needs_captioned_shapes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the data has no such split."""
        if self.split not in system.dataset.splits:
            raise ValueError(
                f"there is no split={self.split} of this data, which has {', '.join(system.dataset.splits)}"
            )

    @property
    def conditions(self) -> dict[str, Any]:
        """By whom images are judged, for captions of which split."""
        return {"classifier": self.classifier.name, "split": self.split}

    def prepare(self, reference: Reference) -> None:
        """Train the classifier."""
        reference.load_extractor(self.classifier, with_all_pairs(reference.dataset))

    def __call__(self, results: Results) -> dict[str, float]:
        """Shares of the attributes that captions speak of; and of images of which both colour and shape are right."""
        dataset: Any = results.dataset
        codes, said = dataset.captions(len(results.noise), self.split)
        condition: Any = results.system.networks["condition"]
        with torch.no_grad():
            conditions = torch.cat([condition.phi(some) for some in codes.to(results.noise.device).split(CHUNK)])
        rows = torch.cat([results.noise[:, : -condition.dim], conditions], 1)
        eye = results.reference.load_extractor(self.classifier, with_all_pairs(dataset))
        logits = torch.cat([eye.extract(results.system.sample(some)).logits for some in rows.split(CHUNK)])
        return shares(dataset.labels.correct(logits.cpu(), said.cpu()), mentioned_groups(dataset, said.cpu()))


def with_all_pairs(dataset: Any) -> Any:
    """The same drawings of all pairs of colour and shape, some held out to see how well a classifier does."""
    return replace(dataset, unseen=0, held_out=min(2000, dataset.count // 10))


def mentioned_groups(dataset: CaptionedShapes, said: Tensor) -> Tensor:
    """Whether captions that say this (n, dim) speak of each group of attributes: (n, groups) booleans."""
    return torch.stack([said[:, places].any(1) for places in dataset.labels.questions], 1)


def shares(hits: Tensor, asked: Tensor) -> dict[str, float]:
    """Figures from what is right and what was asked for, (n, groups) of booleans."""
    right = hits & asked
    by_group = right.double().sum(0) / asked.double().sum(0)  # of what nothing was said, not a number
    return {
        "caption_accuracy": (right.sum() / asked.sum()).item(),
        "caption_colour_and_shape": right[:, :2].all(1).double().mean().item(),
        **{f"caption_{question}": share for question, share in zip(QUESTIONS, by_group.tolist())},
    }
