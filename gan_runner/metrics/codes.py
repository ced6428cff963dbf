"""Metrics of InfoGAN's codes: mutual information with samples, and error as a classifier of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    from gan_runner.system import System


def needs_codes(system: System) -> None:
    """Require a game with codes and a network Q that infers them."""
    if not isinstance(system.game, InfersCodes):
        raise ValueError("it needs codes, and this game has none; choose game=infogan, or leave it out")


@dataclass(frozen=True)
class MutualInformation:
    """L_I in nats, in total and for each code (Chen et al. 2016, arXiv:1606.03657, Eq. 5).

    This is Q's lower bound on the mutual information between codes and samples, with Q in evaluation mode. For a
    categorical code it is at most log(size).

    Args:
        codes: the codes of the game by name.
    """

    codes: Mapping[str, Any] | None

    requirements: ClassVar = (needs_codes,)

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better, in total and for each code."""
        return dict.fromkeys(["mutual_information", *(f"mutual_information_{name}" for name in self.codes or ())], max)

    def __call__(self, results: Results) -> dict[str, float]:
        """Return L_I on the samples, by name."""
        game: Any = results.system.game
        outputs = infer_codes(results.system, results.samples)
        bounds = game.joint.information(outputs.double(), game.codes_in(results.noise).double())
        each = {f"mutual_information_{name}": value.item() for name, value in bounds.items()}
        return {"mutual_information": sum(each.values()), **each}


def assignment(categories: Tensor, labels: Tensor, size: int) -> Tensor:
    """Match categories one-to-one with labels, with the fewest errors (Hungarian method, Kuhn 1955): (size,).

    Args:
        categories: (n,) from 0 to size − 1.
        labels: (n,) from 0 on. If there are fewer labels than categories, unmatched categories get −1.
        size: number of categories.
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
    """The error in % of a categorical code as a classifier: Q's most probable category predicts the class.

    Categories are matched with classes on one split, and errors are counted on another. The paper reports an error of
    5 % without naming the splits (Chen et al. 2016, arXiv:1606.03657, Section 7.2).

    Args:
        code: name of the code; None takes the first categorical code.
        matched_on: split on which categories are matched with classes.
        matched: number of samples for the matching.
        measured_on: split on which errors are counted; None takes test, else validation; during training, validation
            comes first.
    """

    code: str | None = None
    matched_on: Split = "train"
    matched: int = 10000
    measured_on: Split | None = None

    directions: ClassVar = {"code_error": min}

    def __post_init__(self) -> None:
        if self.matched_on == self.measured_on:
            raise ValueError(f"matched_on and measured_on are both {self.matched_on}; choose different splits")
        if self.matched < 1:
            raise ValueError(f"matched={self.matched} must be at least 1")
        self.conditions: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A game with codes, and both splits."""
        return (needs_codes, self.check)

    def check(self, system: System) -> None:
        """Raise ValueError if the code or a split does not exist, or labels are not classes."""
        self.chosen_code(system.game)
        if not isinstance(system.dataset.labels, Classes):
            raise ValueError("it needs classes, and the labels of this dataset are not classes; leave it out")
        have = ", ".join(system.dataset.splits)
        advice = "choose another split, set dataset.held_out for a validation split, or leave it out"
        for option, split in {"matched_on": self.matched_on, "measured_on": self.measured_on}.items():
            if split is not None and split not in system.dataset.splits:
                raise ValueError(f"{option}={split}, but this dataset only has {have}; {advice}")
        if self.measured_split(system.dataset.splits, selecting=False) == self.matched_on:
            raise ValueError(
                f"matched_on={self.matched_on}, errors need another split, and this dataset only has {have}; {advice}"
            )

    def measured_split(self, splits: Sequence[Split], selecting: bool) -> Split:
        """The split on which errors are counted; see `gan_runner.metrics.base.ChoosesSplit`."""
        left = [split for split in splits if split != self.matched_on]
        return self.measured_on or evaluation_split(left, selecting)

    def chosen_code(self, game: Any) -> str:
        """Return the name of the code.

        Raises:
            ValueError: the code does not exist or is not categorical.
        """
        categorical = [name for name, code in game.codes.items() if isinstance(code, Categorical)]
        if not categorical:
            raise ValueError("it needs a categorical code, and this game has none; leave it out")
        if self.code is not None and self.code not in categorical:
            choices = ", ".join(categorical)
            raise ValueError(f"there is no categorical code {self.code}; set metric.code_error.code to {choices}")
        return self.code or categorical[0]

    def __call__(self, results: Results) -> dict[str, float]:
        """Match categories with classes, then count errors."""
        split = self.measured_split(results.dataset.splits, results.reference.selecting)
        matching, measuring = results.reference.split(self.matched_on), results.reference.split(split)
        batches = islice(matching.stream(0, CHUNK, seed=0), -(-self.matched // CHUNK))
        categories, labels = self.infer(results, batches)
        matched = assignment(categories[: self.matched], labels[: self.matched], self.size(results))
        categories, labels = self.infer(results, all_batches(measuring))
        self.conditions = {"split": split, "matched_on": self.matched_on, "matched": self.matched}
        return {"code_error": 100 * (matched[categories] != labels).double().mean().item()}

    def size(self, results: Results) -> int:
        """Return the number of categories."""
        game: Any = results.system.game
        return game.codes[self.chosen_code(game)].size

    def infer(self, results: Results, batches: Any) -> tuple[Tensor, Tensor]:
        """Return the most probable category (n,) and the label (n,) of each sample."""
        game: Any = results.system.game
        name = self.chosen_code(game)
        categories, labels = [], []
        for batch in batches:
            outputs = game.joint.split_outputs(infer_codes(results.system, batch["data"]))
            categories.append(outputs[name].argmax(1))
            labels.append(batch["label"].long())
        return torch.cat(categories), torch.cat(labels)
