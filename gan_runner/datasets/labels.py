"""Labels of a dataset: one class per sample, or a set of binary attributes.

As a condition, a label is a vector of floats: a class is one-hot, and each attribute is 1 if the sample has it, else 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import DataError


class Labels(Protocol):
    """The meaning of `batch["label"]`, known before any file is read."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each element of a label vector."""

    @property
    def dim(self) -> int:
        """The length of a label vector."""

    def check(self, label: Tensor, name: str) -> None:
        """Check labels (n, …) that were read; `name` is that of the data.

        Raises:
            DataError: a label means none of the classes or attributes.
        """

    def vectors(self, label: Tensor) -> Tensor:
        """Convert a batch of labels, as the dataset yields them, to vectors (n, dim)."""

    def from_vectors(self, vectors: Tensor) -> Tensor:
        """Convert vectors (n, dim) to labels, as the dataset yields them."""

    def index_of(self, text: str) -> int:
        """Return the index of the one class or attribute that the text names.

        Raises:
            ValueError: no class or attribute has this name. The message lists the names.
        """

    def parse(self, text: str) -> Tensor:
        """Return the label vector (dim,) that the text describes.

        Raises:
            ValueError: the text is not a valid label. The message lists the choices.
        """

    def describe(self, vector: Tensor) -> str:
        """Return a label vector (dim,) as text that `parse` reads back."""

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return −log P(label) (n,) in nats of label vectors (n, dim), given a classifier's logits (n, dim)."""

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return whether a classifier's logits (n, dim) predict label vectors (n, dim): booleans (n, predictions).

        A class is one prediction; so is each group of attributes, and each attribute outside of all groups.
        """


@dataclass(frozen=True)
class Classes:
    """One class per sample: labels (n,) are class indices.

    Args:
        names: names of the classes, in order.

    Raises:
        ValueError: there is no name, or a name is empty or occurs twice.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_names("classes", self.names)

    @property
    def dim(self) -> int:
        """The number of classes."""
        return len(self.names)

    def check(self, label: Tensor, name: str) -> None:
        """Check that labels (n,) are numbers of classes, or −1 where the class is unknown.

        Raises:
            DataError: they are not.
        """
        if label.dim() != 1:
            raise DataError(
                f"the labels of {name} are vectors and not classes; set dataset.classes=null, and perhaps "
                "dataset.attributes"
            )
        largest, smallest = int(label.max()), int(label.min())
        if largest >= self.dim or smallest < -1:
            outside = largest if largest >= self.dim else smallest
            raise DataError(
                f"{name} has an image of class {outside}, and its {self.dim} classes are numbered from 0 to "
                f"{self.dim - 1}; set dataset.classes to {max(largest + 1, self.dim)} or as many names"
            )

    def vectors(self, label: Tensor) -> Tensor:
        """Return one-hot vectors (n, dim) of labels (n,); an unknown class, such as −1, gives zeros."""
        classes = torch.arange(self.dim, device=label.device)
        return (label.unsqueeze(-1) == classes).to(torch.get_default_dtype())

    def from_vectors(self, vectors: Tensor) -> Tensor:
        """Return the indices (n,) of the classes of one-hot vectors (n, dim)."""
        return vectors.argmax(1)

    def index_of(self, text: str) -> int:
        """Return the index of a class, given its name (in any case), or its number if no name is a number."""
        name = match_name(text, self.names)
        numbered = any(each.strip().isdecimal() for each in self.names)  # then a number is meant as a name
        if name is None and text.strip().isdecimal() and not numbered and int(text) < self.dim:
            name = self.names[int(text)]
        if name is None:
            raise ValueError(f"there is no class {text.strip()!r}{suggest(text, self.names)}")
        return self.names.index(name)

    def parse(self, text: str) -> Tensor:
        """Return the one-hot vector (dim,) of a class, given as for `index_of`."""
        return self.vectors(torch.tensor(self.index_of(text)))

    def describe(self, vector: Tensor) -> str:
        """Return the name of the most probable class of a vector (dim,)."""
        return self.names[int(vector.argmax())]

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return the cross-entropy (n,) in nats."""
        return -(logits.log_softmax(1) * vectors).sum(1)

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return whether the most probable class is the true one: (n, 1)."""
        return (logits.argmax(1) == vectors.argmax(1)).unsqueeze(1)


@dataclass(frozen=True)
class Attributes:
    """Binary attributes: labels (n, dim) are zeros and ones.

    Args:
        names: names of the attributes, in order.
        groups: names that exclude each other: every sample has exactly one attribute of each group.

    Raises:
        ValueError: there is no name, a name is empty or occurs twice, or a group names an unknown attribute or one
            of another group.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        check_names("attributes", self.names)
        grouped = [name for group in self.groups for name in group]
        if any("," in name for name in self.names):
            raise ValueError("commas separate attributes, so the name of an attribute cannot contain one")
        if not set(grouped) <= set(self.names) or len(set(grouped)) < len(grouped):
            raise ValueError(f"groups must consist of attributes, each in at most one group, not {self.groups}")

    @property
    def dim(self) -> int:
        """The number of attributes, all groups included."""
        return len(self.names)

    def check(self, label: Tensor, name: str) -> None:
        """Check that labels (n, dim) are zeros and ones.

        Raises:
            DataError: they are not.
        """
        if label.shape[1:] != (self.dim,) or not bool(((label == 0) | (label == 1)).all()):
            raise DataError(
                f"the labels of {name} are not zeros and ones of {self.dim} attributes; correct dataset.attributes"
            )

    def vectors(self, label: Tensor) -> Tensor:
        """Convert labels (n, dim) to floats."""
        return label.to(torch.get_default_dtype())

    def from_vectors(self, vectors: Tensor) -> Tensor:
        """Return vectors (n, dim) as zeros and ones."""
        return (vectors > 0.5).to(torch.uint8)

    def index_of(self, text: str) -> int:
        """Return the index of an attribute, given its name in any case."""
        name = match_name(text, self.names)
        if name is None:
            raise ValueError(f"there is no attribute {text.strip()!r}{suggest(text, self.names)}")
        return self.names.index(name)

    def parse(self, text: str) -> Tensor:
        """Return the vector (dim,) of attributes named in any case and separated by commas, one of each group.

        Attributes that are not named are 0.
        """
        named = [self.names[self.index_of(word)] for word in filter(str.strip, text.split(","))]
        for group in self.groups:
            chosen = [name for name in group if name in named]
            if len(chosen) > 1:
                raise ValueError(f"{text!r} is impossible: {' and '.join(chosen)} exclude each other")
            if not chosen:
                raise ValueError(f"{text!r} is incomplete; add one of {format_choices(group)}")
        return torch.tensor([float(name in named) for name in self.names])

    def describe(self, vector: Tensor) -> str:
        """Return the names of the attributes in a vector (dim,): the largest of each group, and others above ½.

        A group that is all zeros is left out.
        """
        value = dict(zip(self.names, vector.tolist()))
        there = {max(group, key=value.__getitem__) for group in self.groups if any(value[name] for name in group)}
        grouped = {name for group in self.groups for name in group}
        there |= {name for name in self.names if name not in grouped and value[name] > 0.5}
        return ", ".join(name for name in self.names if name in there)

    @property
    def predictions(self) -> list[list[int]]:
        """The indices of the attributes that a classifier predicts together: each group, then each single attribute."""
        grouped = [name for group in self.groups for name in group]
        alone = [(name,) for name in self.names if name not in grouped]
        return [[self.names.index(name) for name in names] for names in (*self.groups, *alone)]

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return the cross-entropy (n,) in nats, summed over groups and single attributes."""
        parts = []
        for indices in self.predictions:
            predicted, true = logits[:, indices], vectors[:, indices]
            if len(indices) == 1:
                parts.append(binary_cross_entropy_with_logits(predicted, true, reduction="none").squeeze(1))
            else:
                parts.append(-(predicted.log_softmax(1) * true).sum(1))
        return torch.stack(parts, 1).sum(1)

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return whether each group and each single attribute is predicted correctly: (n, predictions)."""
        correct = []
        for indices in self.predictions:
            predicted, true = logits[:, indices], vectors[:, indices]
            single = len(indices) == 1
            correct.append(
                (predicted > 0).eq(true > 0.5).squeeze(1) if single else predicted.argmax(1) == true.argmax(1)
            )
        return torch.stack(correct, 1)


def frequencies(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct labels (k, …) of labels (n, …), in order, and their frequencies (k,)."""
    distinct, counts = labels.unique(dim=0, return_counts=True)
    return distinct, counts / len(labels)


def as_classes(names: int | Iterable[str] | None) -> Classes | None:
    """Return classes with these names, or so many classes named by their numbers; None for None."""
    if names is None:
        return None
    return Classes(tuple(map(str, range(names))) if isinstance(names, int) else tuple(names))


def check_names(kind: str, names: tuple[str, ...]) -> None:
    """Raise ValueError if there is no name, or a name is empty or occurs twice."""
    if not names or not all(names):
        raise ValueError(f"{kind} need at least one name, and no empty names, not {list(names)}")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"two {kind} are named {twice!r}; give each a different name")


def normalise(name: str) -> str:
    """Return a name in lower case, without outer spaces, and with spaces for underscores."""
    return name.casefold().replace("_", " ").strip()


def match_name(word: str, names: tuple[str, ...]) -> str | None:
    """Return the name that matches a word exactly, else after normalisation, else None."""
    exact = (name for name in names if name == word.strip())
    similar = (name for name in names if normalise(name) == normalise(word))
    return next((name for matches in (exact, similar) for name in matches), None)


MAX_LISTED = 50  # longer lists of choices are abbreviated


def format_choices(names: tuple[str, ...]) -> str:
    """Return a list of choices as text, abbreviated if it is long."""
    if len(names) <= MAX_LISTED:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, … {names[-1]} ({len(names):,})"


def suggest(word: str, names: tuple[str, ...]) -> str:
    """Return advice for an error message: the most similar choice, else all choices."""
    near = did_you_mean(word.strip(), names)
    return near if near.startswith("; did") else f"; choose from {format_choices(names)}"
