"""How often the game's own classifier errs."""

from __future__ import annotations

from collections.abc import Iterable
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

DRAWS = 10_000
"""So many are looked at where data is drawn without end."""


@dataclass
class ClassificationError:
    """`errors`: how many samples are taken for another class than theirs; `error_rate`: their share.

    Every sample of a split is looked at once, by the averaged weights where there are any.

    Args:
        split: which; None takes those for testing, where there are none those for validation, and else all that is
            trained on, of which few labels are known. While a run goes on, those for validation go first.
    """

    split: Split | None = None

    directions: ClassVar = {"errors": min, "error_rate": min}

    def __post_init__(self) -> None:
        self.conditions: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The game must classify, and the data have the split."""
        return (self.check,)

    def check(self, system: System) -> None:
        """Raise ValueError where there is nothing to count."""
        if not isinstance(system.game, Classifies):
            raise ValueError("this game does not classify; choose game=semi_supervised, or leave it out")
        resolve_split(system.dataset, self.split)

    def __call__(self, results: Results) -> dict[str, float]:
        """Look at all of them."""
        split = resolve_split(results.dataset, self.split, results.reference.selecting)
        data = results.reference.split(split)
        wrong = [misclassified(classify(results.system, batch["data"]), batch["label"]) for batch in all_batches(data)]
        errors, count = sum(int(some.sum()) for some in wrong), sum(map(len, wrong))
        self.conditions = {"samples": None, "real": None, "split": split, "images": count}
        return {"errors": float(errors), "error_rate": errors / count}


def resolve_split(dataset: Dataset, chosen: Split | None, selecting: bool = False) -> Split:
    """The split whose errors count; `selecting` is whether they choose among checkpoints.

    Raises:
        ValueError: the data has not the one that was chosen.
    """
    if chosen is not None and chosen not in dataset.splits:
        raise ValueError(f"there are no {chosen} images in this data, which has {', '.join(dataset.splits)}")
    return evaluation_split(dataset.splits, selecting) if chosen is None else chosen


def all_batches(data: Data) -> Iterable[Batch]:
    """All of the data with its labels, or so many draws where it has no end."""
    return data.epoch() if isinstance(data, Finite) else [data.first(DRAWS)]


def misclassified(scores: Tensor, label: Tensor) -> Tensor:
    """Where the largest of the scores (n, K) is not that of the label (n,): (n,) of booleans."""
    return scores.argmax(1) != label.to(scores.device)
