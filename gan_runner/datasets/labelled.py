"""Semi-supervised data: all samples are used, but only a few labels are known."""

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

CHUNK = 256  # samples searched at a time


@dataclass(frozen=True, kw_only=True)
class LabelledSubset:
    """A random choice of labels, the same number per class (Salimans et al. 2016, arXiv:1606.03498, Section 6).

    Args:
        count: total number of labels.
        seed: seed of the choice; None takes the seed of the run, so that each run has different labels.

    Raises:
        ValueError: `count` is below 1.
    """

    count: int = 100
    seed: int | None = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"labelled.count must be at least one label a class, not {self.count}")

    def per_class(self, classes: int) -> int:
        """Return the number of labels per class.

        Raises:
            ValueError: `count` is not a multiple of the number of classes.
        """
        if self.count % classes:
            nearest = max(1, round(self.count / classes)) * classes
            raise ValueError(
                f"game.labelled.count={self.count} is not a multiple of the {classes} classes; choose {nearest}"
            )
        return self.count // classes

    def choose(self, data: Data, classes: int, seed: int) -> tuple[Tensor, Tensor]:
        """Choose random samples (count, *shape) and their labels (count,), ordered by class.

        Raises:
            DataError: a class has too few samples, or labels are not classes.
        """
        per_class = self.per_class(classes)
        seed = seed if self.seed is None else self.seed
        chosen: dict[int, list[Tensor]] = defaultdict(list)
        left = len(data) if isinstance(data, Sized) else 1_000 * self.count  # finite data is read once
        for batch in data.stream(0, CHUNK, derive_seed(-2, seed)):
            samples, labels = batch["data"][:left], batch["label"][:left]
            if labels.dim() != 1 or labels.max() >= classes:
                raise DataError(
                    f"game.labelled needs one of {classes} classes per sample, and this dataset has other labels"
                )
            left -= len(samples)
            for sample, label in zip(samples, labels.tolist()):
                if len(chosen[label]) < per_class:
                    chosen[label].append(sample)
            incomplete = next((label for label in range(classes) if len(chosen[label]) < per_class), None)
            if incomplete is None:
                break
            if left == 0:
                raise DataError(
                    f"game.labelled.count={self.count} needs {per_class} labels per class, and class {incomplete} has "
                    f"only {len(chosen[incomplete])}; choose fewer"
                )
        samples = torch.stack([sample for label in range(classes) for sample in chosen[label]])
        return samples, torch.arange(classes, device=samples.device).repeat_interleave(per_class)


class PartlyLabelled(Data):
    """Data with few labels: each batch holds unlabelled samples and as many labelled ones.

    Args:
        data: all samples with all labels.
        subset: the labels that are known.
        classes: number of classes.
    """

    def __init__(self, data: Data, subset: LabelledSubset, classes: int):
        self.data = data
        self.subset = subset
        self.classes = classes

    def stream(self, start: int, size: int, seed: int, rows: slice = ALL) -> Iterator[Batch]:
        """Yield batches from `start` on: `data` (size, *shape) and `labelled`, `labelled_label` of the same size.

        Labelled samples are read in their own random permutations, and mirrored if the data is mirrored.
        """
        samples, labels = self.subset.choose(self.data, self.classes, seed)
        labelled_seed = derive_seed(seed, 1)  # independent of the order of the data
        order = Order(len(samples), labelled_seed)
        for number, batch in zip(count(start), self.data.stream(start, size, seed, rows)):
            chosen = order.indices(number, size)[rows].to(samples.device)
            labelled = samples[chosen]
            if isinstance(self.data, HasFlip) and self.data.flip:
                labelled = mirrored(labelled, size, labelled_seed, number, rows)
            yield {"data": batch["data"], "labelled": labelled, "labelled_label": labels[chosen]}

    def chunks(self, n: int) -> Iterator[Tensor]:
        """Yield the fixed choice of n samples in chunks."""
        return self.data.chunks(n)

    def first(self, n: int) -> Batch:
        """Return the fixed choice of n samples, without labels."""
        return {"data": self.real(n)}

    def describe(self) -> str:
        """Describe the data and the number of labels."""
        return f"{self.data.describe()}, {self.subset.count} of them labelled"
