"""Reconstruction error of encoders and invertible generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gan_runner.datasets.base import Split, evaluation_split
from gan_runner.metrics.classification import resolve_split
from gan_runner.metrics.results import Results
from gan_runner.requirements import Requirement
from gan_runner.sampling.inference import encodes, reconstruct

if TYPE_CHECKING:
    from gan_runner.system import System


@dataclass
class Reconstruction:
    """`reconstruction_absolute` and `reconstruction_squared`: means of |x − x̂| and (x − x̂)² over all elements.

    x̂ is generated from the code of x, with averaged weights if there are any. Images are in [−1, 1].

    Args:
        split: split of the data; None takes test, else validation, else train. During training, None takes validation
            first.
        samples: maximal number of reconstructions; None takes the number of samples of the evaluation.
    """

    split: Split | None = None
    samples: int | None = None

    directions: ClassVar = {"reconstruction_absolute": min, "reconstruction_squared": min}

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples={self.samples} must be at least 1")
        self.conditions: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A game with an encoder or an invertible generator, and the split."""
        return (encodes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the dataset does not have the split."""
        resolve_split(system.dataset, self.split)

    def measured_split(self, splits: Sequence[Split], selecting: bool) -> Split:
        """The split to reconstruct; see `gan_runner.metrics.base.ChoosesSplit`."""
        return self.split or evaluation_split(splits, selecting)

    def __call__(self, results: Results) -> dict[str, float]:
        """Reconstruct the data in chunks and return the errors."""
        split = self.measured_split(results.dataset.splits, results.reference.selecting)
        absolute, squared, elements, count = 0.0, 0.0, 0, 0
        for number, x in enumerate(results.reference.split(split).chunks(self.samples or results.reference.n)):
            error = (reconstruct(results.system, x, seed=number) - x).double()
            absolute, squared = absolute + error.abs().sum().item(), squared + error.square().sum().item()
            elements, count = elements + x.numel(), count + len(x)
        self.conditions = {"samples": None, "real": None, "split": split, "reconstructed": count}
        return {"reconstruction_absolute": absolute / elements, "reconstruction_squared": squared / elements}
