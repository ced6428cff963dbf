"""What a game's codes are worth: how much samples tell of them, and how well they classify data (InfoGAN)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gan_runner.datasets.base import Split, evaluation_split
from gan_runner.datasets.labels import Classes
from gan_runner.games.base import InfersCodes
from gan_runner.metrics.base import Better
from gan_runner.metrics.classification import all_batches
from gan_runner.metrics.results import CHUNK, Results
from gan_runner.models.codes import Categorical
from gan_runner.requirements import Requirement
from gan_runner.sampling.inference import infer_codes

if TYPE_CHECKING:
    from gan_runner.datasets.base import Dataset
    from gan_runner.system import System


def needs_codes(system: System) -> None:
    """There must be codes, and a network that reads them."""
    if not isinstance(system.game, InfersCodes):
        raise ValueError("it looks at codes, and this game has none; choose game=infogan, or leave it out")


@dataclass(frozen=True)
class MutualInformation:
    """L_I in nats, of all codes together and of each, on fresh samples (Chen et al. 2016, arXiv:1606.03657, Eq. 5).

    A lower bound on what samples tell of the codes, by a Q in evaluation mode; of a categorical code at most log size.

    Args:
        codes: those of the game, by name.
    """

    codes: Mapping[str, Any] | None

    requirements: ClassVar = (needs_codes,)

    @property
    def directions(self) -> Mapping[str, Better]:
        """All together, and each."""
        return dict.fromkeys(["mutual_information", *(f"mutual_information_{name}" for name in self.codes or ())], max)

    def __call__(self, results: Results) -> dict[str, float]:
        """By name."""
        game: Any = results.system.game
        outputs = infer_codes(results.system, results.samples)
        found = game.joint.information(outputs.double(), game.codes_in(results.noise).double())
        each = {f"mutual_information_{name}": value.item() for name, value in found.items()}
        return {"mutual_information": sum(each.values()), **each}


def assignment(categories: Tensor, labels: Tensor, size: int) -> Tensor:
    """The label of each category, one to one, that makes the fewest errors (Kuhn 1955, the Hungarian method): (size,).

    Args:
        categories: (n,) from 0 to size − 1.
        labels: (n,) from 0 on. Of fewer labels than categories, categories left over get −1.
        size: how many categories there are.
    """
    from scipy.optimize import linear_sum_assignment

    classes = int(labels.max()) + 1
    counts = torch.bincount(categories * classes + labels, minlength=size * classes).view(size, classes)
    rows, columns = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
    matched = torch.full((size,), -1, dtype=torch.long)
    matched[torch.as_tensor(rows)] = torch.as_tensor(columns)
    return matched.to(labels.device)


@dataclass
class CodeError:
    """A categorical code as a classifier of data: the category that Q finds the likeliest says the class.

    Which category stands for which class is decided on labelled data of another split than the errors are counted on:
    the paper names its 5 % without a word on that (Chen et al. 2016, arXiv:1606.03657, Section 7.2).

    Args:
        code: by its name; None for the first categorical one.
        matched_on: the split by whose labels categories are matched with classes.
        matched: how many of it are looked at.
        measured_on: the split whose errors are counted, all of it; None takes that for testing, or where there is none
            that for validation, which while a run goes on comes first.
    """

    code: str | None = None
    matched_on: Split = "train"
    matched: int = 10000
    measured_on: Split | None = None

    directions: ClassVar = {"code_error": min}

    def __post_init__(self) -> None:
        if self.matched_on == self.measured_on:
            raise ValueError(f"matched_on={self.matched_on} is also measured_on; errors need a split of their own")
        if self.matched < 1:
            raise ValueError(f"matched={self.matched} must be at least 1")
        self.conditions: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Codes, and both splits."""
        return (needs_codes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if there is no such code, no such split, or labels are no classes."""
        self.chosen(system.game)
        if not isinstance(system.dataset.labels, Classes):
            raise ValueError("the labels of this dataset tell no classes apart; leave it out")
        have = ", ".join(system.dataset.splits)
        advice = "choose another split, set dataset.held_out for a validation split, or leave it out"
        for option, split in {"matched_on": self.matched_on, "measured_on": self.measured_on}.items():
            if split is not None and split not in system.dataset.splits:
                raise ValueError(f"{option}={split}, and this dataset has {have}; {advice}")
        if self.counted_on(system.dataset) == self.matched_on:
            raise ValueError(
                f"matched_on={self.matched_on}, errors need a split of their own, and this dataset has {have}; {advice}"
            )

    def counted_on(self, dataset: Dataset, selecting: bool = False) -> Split:
        """The split whose errors count; `selecting` is whether they choose among checkpoints."""
        left = [split for split in dataset.splits if split != self.matched_on]
        return self.measured_on or evaluation_split(left, selecting)

    def chosen(self, game: Any) -> str:
        """The code's name.

        Raises:
            ValueError: there is no such code, or it is not categorical.
        """
        categorical = [name for name, code in game.codes.items() if isinstance(code, Categorical)]
        if (self.code or "") not in categorical and (self.code is not None or not categorical):
            there_are = f"there are {', '.join(categorical)}" if categorical else "there is none"
            raise ValueError(
                f"it needs a categorical code, and {there_are}; set metric.code_error.code, or leave it out"
            )
        return self.code or categorical[0]

    def __call__(self, results: Results) -> dict[str, float]:
        """Errors in %."""
        counted_on = self.counted_on(results.dataset, results.reference.selecting)
        matching, measuring = (results.reference.split(split) for split in (self.matched_on, counted_on))
        batches = islice(matching.stream(0, CHUNK, seed=0), -(-self.matched // CHUNK))
        said, labels = self.read(results, batches)
        matched = assignment(said[: self.matched], labels[: self.matched], self.size(results))
        said, labels = self.read(results, all_batches(measuring))
        self.conditions = {"split": counted_on, "matched_on": self.matched_on, "matched": self.matched}
        return {"code_error": 100 * (matched[said] != labels).double().mean().item()}

    def size(self, results: Results) -> int:
        """How many categories."""
        game: Any = results.system.game
        return game.codes[self.chosen(game)].size

    def read(self, results: Results, batches: Any) -> tuple[Tensor, Tensor]:
        """The likeliest category and the label of each sample: (n,) and (n,)."""
        game: Any = results.system.game
        name = self.chosen(game)
        said, labels = [], []
        for batch in batches:
            outputs = game.joint.split_outputs(infer_codes(results.system, batch["data"]))
            said.append(outputs[name].argmax(1))
            labels.append(batch["label"].long())
        return torch.cat(said), torch.cat(labels)
