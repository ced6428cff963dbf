"""Latent codes c that a generator is fed beside its noise, and what a network Q says of them (InfoGAN).

Chen et al. 2016, arXiv:1606.03657. Q looks at a sample and puts out the parameters of a distribution Q(c|x) over each
code. Since E log Q(c|x) + H(c) = I(c; x) − E KL(P(c|x) ‖ Q(c|x)), it is a lower bound L_I on the mutual information,
and is reached where Q is the posterior P(c|x) (Eq. 4 and 5).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from gan_runner.models.sizes import at_least_one

BEYOND = 2.0
"""Traversals of a continuous code go to so many times the half-width, or standard deviation, of its prior (Fig. 2)."""


@runtime_checkable
class Code(Protocol):
    """A prior P(c) over codes, and the family that Q(c|x) is from. Codes are independent of each other."""

    @property
    def dim(self) -> int:
        """How many of the generator's inputs it takes."""

    @property
    def num_parameters(self) -> int:
        """How many numbers say what Q(c|x) is."""

    @property
    def entropy(self) -> float:
        """H(c) in nats; of a continuous code the differential entropy."""

    @property
    def most(self) -> float:
        """The greatest L_I that such a Q can reach, in nats."""

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n from the prior: (n, dim)."""

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """log Q(c|x) in nats (n,), of codes (n, dim), for outputs of Q (n, num_parameters)."""

    def values(self, k: int) -> Tensor:
        """Values to show one after the other: (m, dim); each dimension of a continuous code takes k of them."""

    def said(self, k: int) -> list[str]:
        """The same m values in figures, for people."""


@dataclass(frozen=True)
class Categorical:
    """One of `size` categories, all alike likely, one-hot. Q's outputs are logits.

    Args:
        size: how many categories.
    """

    size: int

    def __post_init__(self) -> None:
        at_least_one(size=self.size)

    @property
    def dim(self) -> int:
        """One-hot."""
        return self.size

    @property
    def num_parameters(self) -> int:
        """A logit each."""
        return self.size

    @property
    def entropy(self) -> float:
        """log size."""
        return math.log(self.size)

    @property
    def most(self) -> float:
        """H(c), where Q is always right."""
        return self.entropy

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """One-hot rows (n, size)."""
        drawn = torch.randint(self.size, (n, 1), device=device, generator=rng)
        return (drawn == torch.arange(self.size, device=device)).to(torch.get_default_dtype())

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """Of the category that the code says, a log-softmax (n,)."""
        return (log_softmax(outputs, 1) * code).sum(1)

    def values(self, k: int) -> Tensor:
        """All categories, however many are asked for: (size, size)."""
        return torch.eye(self.size)

    def said(self, k: int) -> list[str]:
        """Categories by their numbers, from 0 on."""
        return list(map(str, range(self.size)))


@dataclass(frozen=True)
class Continuous(ABC):
    """A code whose Q(c|x) is a Gaussian, independent in each dimension.

    Args:
        dim: how many numbers.
        std: of Q(c|x) in the code's own units; one in the authors' code. None: Q puts out its logarithm too.
    """

    dim: int = 1
    std: float | None = 1.0

    def __post_init__(self) -> None:
        at_least_one(dim=self.dim)
        if self.std is not None and not self.std > 0:
            raise ValueError(f"std={self.std:g} must be positive, or null to be learnt")

    @property
    def num_parameters(self) -> int:
        """The mean, and where it is learnt the logarithm of the standard deviation."""
        return self.dim if self.std is not None else 2 * self.dim

    @property
    @abstractmethod
    def entropy(self) -> float:
        """Of the prior."""

    @property
    def most(self) -> float:
        """Where Q's mean is the code itself: there is no end where the deviation is learnt."""
        if self.std is None:
            return math.inf
        return self.entropy - self.dim * (math.log(self.std) + 0.5 * math.log(2 * math.pi))

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """The log density (n,) of N(mean, std²)."""
        if self.std is None:
            mean, log_std = outputs.chunk(2, 1)
            scaled = (code - mean) * torch.exp(-log_std)
            return (-0.5 * scaled.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(1)
        scaled = (code - outputs) / self.std
        return (-0.5 * scaled.square() - math.log(self.std) - 0.5 * math.log(2 * math.pi)).sum(1)

    @abstractmethod
    def values(self, k: int) -> Tensor:
        """k of them for each dimension, the others in the middle: (dim · k, dim)."""

    def said(self, k: int) -> list[str]:
        """That of the dimension that varies, behind its number where there are several."""
        moving = self.values(k).unflatten(0, (self.dim, k)).diagonal(dim1=0, dim2=2).T
        front = [f"{number}: " for number in range(1, self.dim + 1)] if self.dim > 1 else [""]
        return [f"{number}{value:.2g}" for number, row in zip(front, moving.tolist()) for value in row]

    def along(self, middle: float, reach: float, k: int) -> Tensor:
        """k values from one end to the other for each dimension, the others in the middle: (dim · k, dim)."""
        steps = torch.linspace(-reach, reach, k)
        return middle + torch.kron(torch.eye(self.dim), steps.unsqueeze(1))


@dataclass(frozen=True)
class Uniform(Continuous):
    """c ~ U(low, high) in each dimension.

    Args:
        low: of the prior.
        high: of the prior.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"low={self.low:g} must lie below high={self.high:g}")

    @property
    def entropy(self) -> float:
        """dim · log (high − low)."""
        return self.dim * math.log(self.high - self.low)

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """(n, dim)."""
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, device=device, generator=rng)

    def values(self, k: int) -> Tensor:
        """From −2 to 2, where the prior ends at −1 and 1 (Fig. 2): (dim · k, dim)."""
        return self.along((self.low + self.high) / 2, BEYOND * (self.high - self.low) / 2, k)


@dataclass(frozen=True)
class Gaussian(Continuous):
    """c ~ N(0, I)."""

    @property
    def entropy(self) -> float:
        """dim · ½ log 2πe."""
        return self.dim * 0.5 * math.log(2 * math.pi * math.e)

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """(n, dim)."""
        return torch.randn(n, self.dim, device=device, generator=rng)

    def values(self, k: int) -> Tensor:
        """From −2 to 2: (dim · k, dim)."""
        return self.along(0.0, BEYOND, k)


class Codes:
    """Several codes side by side, by name, in order.

    Args:
        codes: by name.

    Raises:
        ValueError: there are none, or one of them is something else.
    """

    def __init__(self, codes: Mapping[str, Code]):
        if not codes:
            raise ValueError("there must be at least one code")
        for name, code in codes.items():
            if not isinstance(code, Code):
                raise ValueError(f"{name}={code} is no code; give it a _target_, such as {__name__}.Categorical")
        self.codes = dict(codes)

    @property
    def dim(self) -> int:
        """Of all together."""
        return sum(code.dim for code in self.codes.values())

    @property
    def num_parameters(self) -> int:
        """Of all together."""
        return sum(code.num_parameters for code in self.codes.values())

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n of each: (n, dim)."""
        return torch.cat([code.draw(n, device, rng) for code in self.codes.values()], 1)

    def apart(self, codes: Tensor) -> dict[str, Tensor]:
        """Codes (n, dim) by name, (n, dim of the code) each."""
        parts = codes.split([code.dim for code in self.codes.values()], 1)
        return dict(zip(self.codes, parts, strict=True))

    def outputs_apart(self, outputs: Tensor) -> dict[str, Tensor]:
        """Outputs of Q (n, num_parameters) by code, (n, num_parameters of the code) each."""
        parts = outputs.split([code.num_parameters for code in self.codes.values()], 1)
        return dict(zip(self.codes, parts, strict=True))

    def information(self, outputs: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """L_I = E log Q(c|x) + H(c) of each code by name, scalars in nats: lower bounds on I(c; x) (Eq. 5).

        Args:
            outputs: of Q (n, num_parameters).
            codes: from which the samples were made (n, dim).
        """
        said, meant = self.outputs_apart(outputs), self.apart(codes)
        return {name: code.log_prob(said[name], meant[name]).mean() + code.entropy for name, code in self.codes.items()}

    def traversal(self, codes: Tensor, name: str, k: int) -> Tensor:
        """Each row with one code at all its values and the others as they are: (n, dim) → (n · m, dim), row by row.

        Raises:
            ValueError: there is no such code.
        """
        if name not in self.codes:
            raise ValueError(f"there is no code {name}; there are {', '.join(self.codes)}")
        values = self.codes[name].values(k).to(codes)
        parts = {other: part.repeat_interleave(len(values), 0) for other, part in self.apart(codes).items()}
        return torch.cat(list((parts | {name: values.repeat(len(codes), 1)}).values()), 1)
