"""What the labels of a dataset mean: one class a sample, or attributes that it has or has not.

A condition is a vector of floats: of a class its one-hot code, of attributes a 1 for each that is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gan_runner.config.suggestions import did_you_mean


class Labels(Protocol):
    """What `batch["label"]` means, known before any file is read."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each element of a vector stands for."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def vectors(self, label: Tensor) -> Tensor:
        """A batch of labels, as the dataset yields them, as vectors (n, dim)."""

    def index_of(self, text: str) -> int:
        """The place in a vector of the one thing that a person names.

        Raises:
            ValueError: there is no such thing, saying what there is.
        """

    def parse(self, text: str) -> Tensor:
        """The vector (dim,) that a person means.

        Raises:
            ValueError: it names nothing that there is, saying what there is.
        """

    def describe(self, vector: Tensor) -> str:
        """A vector (dim,) in words, which `parse` understands."""

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """−log P(vector) in nats (n,) of vectors (n, dim) under a classifier's logits (n, dim)."""

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """What a classifier's logits (n, dim) are right about, of vectors (n, dim): (n, questions) of booleans."""


@dataclass(frozen=True)
class Classes:
    """One class a sample: labels (n,) are numbers from 0 on.

    Args:
        names: of the classes, in order.

    Raises:
        ValueError: there are none, or two are the same.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_names("classes", self.names)

    @property
    def dim(self) -> int:
        """How many."""
        return len(self.names)

    def vectors(self, label: Tensor) -> Tensor:
        """One-hot (n, dim) of labels (n,); a label outside of all classes, such as −1 for none, gives zeros."""
        classes = torch.arange(self.dim, device=label.device)
        return (label.unsqueeze(-1) == classes).to(torch.get_default_dtype())

    def index_of(self, text: str) -> int:
        """A name in any case, or else the number of a class."""
        name = found(text, self.names)
        if name is None and text.strip().isdecimal() and int(text) < self.dim:
            name = self.names[int(text)]
        if name is None:
            raise ValueError(f"there is no class {text.strip()!r}{advice(text, self.names)}")
        return self.names.index(name)

    def parse(self, text: str) -> Tensor:
        """A name in any case, or else the number of a class: (dim,)."""
        return self.vectors(torch.tensor(self.index_of(text)))

    def describe(self, vector: Tensor) -> str:
        """The name of the class of a vector (dim,), which may be a mixture: the most probable one."""
        return self.names[int(vector.argmax())]

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Cross-entropy (n,) in nats."""
        return -(logits.log_softmax(1) * vectors).sum(1)

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Whether the class is the right one: (n, 1)."""
        return (logits.argmax(1) == vectors.argmax(1)).unsqueeze(1)


@dataclass(frozen=True)
class Attributes:
    """What a sample has and has not: labels (n, dim) of zeros and ones.

    Args:
        names: of the attributes, in order.
        groups: names of which every sample has exactly one; what is in none of them is simply there or not.

    Raises:
        ValueError: there are none, two are the same, or a group holds what is no attribute or another's.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        check_names("attributes", self.names)
        grouped = [name for group in self.groups for name in group]
        if any("," in name for name in self.names):
            raise ValueError("a comma parts attributes, so none can have one in its name")
        if not set(grouped) <= set(self.names) or len(set(grouped)) < len(grouped):
            raise ValueError(f"groups must hold attributes, each one once, not {self.groups}")

    @property
    def dim(self) -> int:
        """How many, all groups together."""
        return len(self.names)

    def vectors(self, label: Tensor) -> Tensor:
        """Labels (n, dim) as floats."""
        return label.to(torch.get_default_dtype())

    def index_of(self, text: str) -> int:
        """A name in any case."""
        name = found(text, self.names)
        if name is None:
            raise ValueError(f"there is no attribute {text.strip()!r}{advice(text, self.names)}")
        return self.names.index(name)

    def parse(self, text: str) -> Tensor:
        """Names in any case, with commas between them, one of each group: (dim,); other attributes are not there."""
        named = [self.names[self.index_of(word)] for word in filter(str.strip, text.split(","))]
        for group in self.groups:
            chosen = [name for name in group if name in named]
            if len(chosen) > 1:
                raise ValueError(f"{text!r} cannot be: {' and '.join(chosen)} exclude each other")
            if not chosen:
                raise ValueError(f"{text!r} leaves something open; add one of {listed(group)}")
        return torch.tensor([float(name in named) for name in self.names])

    def describe(self, vector: Tensor) -> str:
        """The names of what is there in a vector (dim,): of each group the largest, of others those above ½.

        Of a group that is zero altogether nothing is said.
        """
        value = dict(zip(self.names, vector.tolist()))
        there = {max(group, key=value.__getitem__) for group in self.groups if any(value[name] for name in group)}
        grouped = {name for group in self.groups for name in group}
        there |= {name for name in self.names if name not in grouped and value[name] > 0.5}
        return ", ".join(name for name in self.names if name in there)

    @property
    def questions(self) -> list[list[int]]:
        """Places in a vector: of every group together, of what is in none alone."""
        grouped = [name for group in self.groups for name in group]
        alone = [(name,) for name in self.names if name not in grouped]
        return [[self.names.index(name) for name in question] for question in (*self.groups, *alone)]

    def negative_log_likelihood(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Cross-entropy of each group, and of each attribute that is in none, added: (n,) in nats."""
        parts = []
        for places in self.questions:
            asked, true = logits[:, places], vectors[:, places]
            if len(places) == 1:
                parts.append(binary_cross_entropy_with_logits(asked, true, reduction="none").squeeze(1))
            else:
                parts.append(-(asked.log_softmax(1) * true).sum(1))
        return torch.stack(parts, 1).sum(1)

    def correct(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Whether each question has the right answer: (n, groups and single attributes)."""
        right = []
        for places in self.questions:
            asked, true = logits[:, places], vectors[:, places]
            alone = len(places) == 1
            right.append((asked > 0).eq(true > 0.5).squeeze(1) if alone else asked.argmax(1) == true.argmax(1))
        return torch.stack(right, 1)


def shares(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The different ones (k, …) among labels (n, …), in order, and the share of all that each has (k,)."""
    different, counts = labels.unique(dim=0, return_counts=True)
    return different, counts / len(labels)


def classes(said: int | Iterable[str] | None) -> Classes | None:
    """Classes by their names, or by their count: then a name is a number; None if nothing is said."""
    if said is None:
        return None
    return Classes(tuple(map(str, range(said))) if isinstance(said, int) else tuple(said))


def check_names(kind: str, names: tuple[str, ...]) -> None:
    """Raise ValueError for names by which nothing can be chosen."""
    if not names or not all(names):
        raise ValueError(f"{kind} need at least one name, and none that is empty, not {list(names)}")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"two {kind} are called {twice!r}; each needs a name of its own")


def plain(name: str) -> str:
    """A name without what people type as they like: case, outer spaces, and underscores for spaces."""
    return name.casefold().replace("_", " ").strip()


def found(word: str, names: tuple[str, ...]) -> str | None:
    """The name that is meant, if there is one: to the letter if possible."""
    exact = (name for name in names if name == word.strip())
    return next((name for same in (exact, (n for n in names if plain(n) == plain(word))) for name in same), None)


MANY = 50  # choices: more are not listed one by one


def listed(names: tuple[str, ...]) -> str:
    """Choices for people."""
    if len(names) <= MANY:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, … {names[-1]} ({len(names):,})"


def advice(word: str, names: tuple[str, ...]) -> str:
    """The nearest choice, else all of them."""
    near = did_you_mean(word.strip(), names)
    return near if near.startswith("; did") else f"; choose from {listed(names)}"
