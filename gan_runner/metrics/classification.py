"""Error rate of a game's own classifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from gan_runner.datasets.base import Data, Finite, Split, evaluation_split
from gan_runner.games.base import Classifies
from gan_runner.metrics.results import Results
from gan_runner.requirements import Requirement
from gan_runner.sampling.inference import classify
from gan_runner.turn import Batch

if TYPE_CHECKING:
    from gan_runner.datasets.base import Dataset
    from gan_runner.system import System

MAX_SAMPLES = 10_000
"""Number of samples to classify if the data is an endless stream."""


@dataclass
class ClassificationError:
    """The number (`errors`) and fraction (`error_rate`) of misclassified samples of a split.

    Averaged weights are used if there are any.

    Args:
        split: split to classify; None takes test, else validation, else train (of which few labels are known). During
            training, None takes validation first.
    """

    split: Split | None = None

    directions: ClassVar = {"errors": min, "error_rate": min}

    def __post_init__(self) -> None:
        self.conditions: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A game that classifies, and the split."""
        return (self.check,)

    def check(self, system: System) -> None:
        """Raise ValueError if the game does not classify or the split does not exist."""
        if not isinstance(system.game, Classifies):
            raise ValueError("this game does not classify; choose game=semi_supervised, or leave it out")
        resolve_split(system.dataset, self.split)

    def measured_split(self, splits: Sequence[Split], selecting: bool) -> Split:
        """The split to classify; see `gan_runner.metrics.base.ChoosesSplit`."""
        return self.split or evaluation_split(splits, selecting)

    def __call__(self, results: Results) -> dict[str, float]:
        """Classify every sample of the split."""
        split = self.measured_split(results.dataset.splits, results.reference.selecting)
        data = results.reference.split(split)
        wrong = [misclassified(classify(results.system, batch["data"]), batch["label"]) for batch in all_batches(data)]
        errors, count = sum(int(chunk.sum()) for chunk in wrong), sum(map(len, wrong))
        self.conditions = {"samples": None, "real": None, "split": split, "images": count}
        return {"errors": float(errors), "error_rate": errors / count}


def resolve_split(dataset: Dataset, chosen: Split | None, selecting: bool = False) -> Split:
    """Return the chosen split, or the default one; `selecting` is whether the values select a checkpoint.

    Raises:
        ValueError: the dataset does not have the chosen split.
    """
    if chosen is not None and chosen not in dataset.splits:
        raise ValueError(f"this dataset has no split {chosen}; set split to {' or '.join(dataset.splits)}")
    return evaluation_split(dataset.splits, selecting) if chosen is None else chosen


def all_batches(data: Data) -> Iterable[Batch]:
    """Return all data with labels, or a fixed number of samples of an endless stream."""
    return data.epoch() if isinstance(data, Finite) else [data.first(MAX_SAMPLES)]


def misclassified(scores: Tensor, label: Tensor) -> Tensor:
    """Return whether the largest of the scores (n, K) is not at the label (n,): booleans (n,)."""
    return scores.argmax(1) != label.to(scores.device)
