"""How often the game's own classifier errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gan_runner.datasets.base import Split
from gan_runner.datasets.images import ImageDataset
from gan_runner.metrics.figures import figures
from gan_runner.metrics.results import Results
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.build import Parts


@figures(errors=min, error_rate=min)
@dataclass(frozen=True)
class ClassificationError:
    """`errors`: how many of a split's images are taken for another class than theirs; `error_rate`: their share.

    By the averaged weights where there are any.

    Args:
        split: whose images, each of them once.
    """

    split: Split = "test"

    @property
    def conditions(self) -> dict[str, Any]:
        """No samples are drawn."""
        return {"samples": None, "split": self.split}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The game must classify, and the data be images with this split."""
        return (self.check,)

    def check(self, parts: Parts) -> None:
        """Raise ValueError where there is nothing to count."""
        if not hasattr(parts.game, "classify"):
            raise ValueError(f"{type(parts.game).__name__} does not classify; choose game=semi_supervised")
        if not isinstance(parts.dataset, ImageDataset) or self.split not in parts.dataset.splits:
            has = ", ".join(parts.dataset.splits)
            raise ValueError(
                f"the errors are those on the {self.split} images, which this data (with {has}) has not; set its split="
            )

    def __call__(self, results: Results) -> dict[str, float]:
        """Look at every image once."""
        data: Any = results.reference.split(self.split)
        wrong = [mistaken(results.parts.classify(batch["data"]), batch["label"]) for batch in data.every()]
        errors = sum(int(some.sum()) for some in wrong)
        return {"errors": float(errors), "error_rate": errors / sum(map(len, wrong))}


def mistaken(scores: Tensor, label: Tensor) -> Tensor:
    """Where the largest of the scores (n, K) is not that of the label (n,): (n,) of booleans."""
    return scores.argmax(1) != label.to(scores.device)
