"""A few labels: of a dataset's images, all are seen, and of a few it is known what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from gan_runner.datasets.base import ALL, Data, Order, derive_seed
from gan_runner.datasets.images import HasFlip, mirrored
from gan_runner.errors import DataError
from gan_runner.turn import Batch

READ = 256  # samples looked through at a time


@dataclass(frozen=True, kw_only=True)
class LabelledSubset:
    """Which labels are known: equally many a class, at random (Salimans et al. 2016, arXiv:1606.03498, Section 6).

    Args:
        count: of all labels together.
        seed: of the choice; None takes the run's own, so that runs with other seeds know other labels.

    Raises:
        ValueError: there are none.
    """

    count: int = 100
    seed: int | None = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"labelled.count must be at least one label a class, not {self.count}")

    def each(self, classes: int) -> int:
        """How many labels a class has.

        Raises:
            ValueError: the classes cannot share them equally.
        """
        if self.count % classes:
            nearest = max(1, round(self.count / classes)) * classes
            raise ValueError(
                f"game.labelled.count={self.count} labels cannot be shared equally by {classes} classes; "
                f"choose {nearest}"
            )
        return self.count // classes

    def choose(self, data: Data, classes: int, seed: int) -> tuple[Tensor, Tensor]:
        """Samples (count, *shape) and labels (count,), class by class: the first of each in an order of their own.

        Raises:
            DataError: a class has too few, or labels are no classes.
        """
        wanted = self.each(classes)
        seed = seed if self.seed is None else self.seed
        kept: dict[int, list[Tensor]] = defaultdict(list)
        left = len(data) if isinstance(data, Sized) else 1_000 * self.count  # of what has an end, each once
        for batch in data.stream(0, READ, derive_seed(-2, seed)):
            samples, labels = batch["data"][:left], batch["label"][:left]
            if labels.dim() != 1 or labels.max() >= classes:
                raise DataError(
                    f"game.labelled needs one of {classes} classes a sample, and this data has other labels"
                )
            left -= len(samples)
            for sample, label in zip(samples, labels.tolist()):
                if len(kept[label]) < wanted:
                    kept[label].append(sample)
            poor = next((label for label in range(classes) if len(kept[label]) < wanted), None)
            if poor is None:
                break
            if left == 0:
                raise DataError(
                    f"game.labelled.count={self.count} needs {wanted} labels a class, and class {poor} has "
                    f"{len(kept[poor])}; choose fewer"
                )
        together = torch.stack([sample for label in range(classes) for sample in kept[label]])
        return together, torch.arange(classes, device=together.device).repeat_interleave(wanted)


class PartlyLabelled(Data):
    """Data of which a few labels are known: beside each batch of `data` stands one of what is labelled.

    What the data says of itself is said of all of it; it keeps the labels of the others to itself.

    Args:
        data: all samples, with all labels.
        subset: which of the labels may be seen.
        classes: how many they tell apart.
    """

    def __init__(self, data: Data, subset: LabelledSubset, classes: int):
        self.data = data
        self.subset = subset
        self.classes = classes

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Batches from number `start` on: `data` (size, *shape); `labelled`, `labelled_label` of the same size.

        Labelled samples come in permutations of their own, one after the other, and are mirrored where the data is.
        """
        samples, labels = self.subset.choose(self.data, self.classes, seed)
        own = derive_seed(seed, 1)  # an order of its own, whatever that of the data
        order = Order(len(samples), own)
        for number, batch in zip(count(start), self.data.stream(start, size, seed, rows)):
            chosen = order.indices(number, size)[rows].to(samples.device)
            labelled = samples[chosen]
            if isinstance(self.data, HasFlip) and self.data.flip:
                labelled = mirrored(labelled, size, own, number, rows)
            yield {"data": batch["data"], "labelled": labelled, "labelled_label": labels[chosen]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Those of the data."""
        return self.data.chunks(n)

    def first(self, n: int) -> Batch:
        """Those of the data, without labels."""
        return {"data": self.real(n)}

    def describe(self) -> str:
        """Of what, and how many labels."""
        return f"{self.data.describe()}, {self.subset.count} of them labelled"
