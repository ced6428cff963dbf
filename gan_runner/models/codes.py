"""Latent codes c of InfoGAN: inputs of the generator beside its noise, which a network Q infers from samples.

Chen et al. 2016, arXiv:1606.03657. From a sample, Q predicts the parameters of a distribution Q(c|x) for each code.
Since E log Q(c|x) + H(c) = I(c; x) − E KL(P(c|x) ‖ Q(c|x)), the left side is a lower bound L_I on the mutual
information. It is tight if Q is the posterior P(c|x) (Eq. 4 and 5).
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

from gan_runner.datasets.base import independent
from gan_runner.models.sizes import at_least_one
from gan_runner.tools.formulas import fill, formula

TRAVERSAL_REACH = 2.0
"""Range of traversals of a continuous code, in half-widths or standard deviations of its prior (Fig. 2)."""


@runtime_checkable
class Code(Protocol):
    """A prior P(c) over codes, and the family of distributions Q(c|x). Codes are independent of each other."""

    @property
    def dim(self) -> int:
        """The number of generator inputs that the code takes."""

    @property
    def num_parameters(self) -> int:
        """The number of parameters of Q(c|x)."""

    @property
    def entropy(self) -> float:
        """H(c) in nats; for a continuous code the differential entropy."""

    @property
    def max_information(self) -> float:
        """The largest L_I that Q can reach, in nats."""

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n from the prior: (n, dim)."""

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """log Q(c|x) (n,) in nats, for outputs of Q (n, num_parameters) and codes (n, dim)."""

    def values(self, k: int) -> Tensor:
        """Values (m, dim) of a traversal: all categories, or k values for each dimension of a continuous code."""

    def value_labels(self, k: int) -> list[str]:
        """The m values of a traversal as text."""


@formula("Cat({size})")
@dataclass(frozen=True)
class Categorical:
    """A uniform one-hot code of `size` categories. The outputs of Q are logits.

    Args:
        size: number of categories.
    """

    size: int

    def __post_init__(self) -> None:
        at_least_one(size=self.size)

    @property
    def dim(self) -> int:
        """The number of categories."""
        return self.size

    @property
    def num_parameters(self) -> int:
        """One logit for each category."""
        return self.size

    @property
    def entropy(self) -> float:
        """log size."""
        return math.log(self.size)

    @property
    def max_information(self) -> float:
        """H(c), reached if Q is always right."""
        return self.entropy

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """One-hot rows (n, size)."""
        drawn = torch.randint(self.size, (n, 1), device=device, generator=rng)
        return (drawn == torch.arange(self.size, device=device)).to(torch.get_default_dtype())

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """The log-softmax (n,) at the category of each code."""
        return (log_softmax(outputs, 1) * code).sum(1)

    def values(self, k: int) -> Tensor:
        """All categories (size, size), whatever k is."""
        return torch.eye(self.size)

    def value_labels(self, k: int) -> list[str]:
        """The numbers of the categories, from 0."""
        return list(map(str, range(self.size)))


@dataclass(frozen=True)
class Continuous(ABC):
    """A code whose Q(c|x) is a Gaussian, independent in each dimension.

    Args:
        dim: number of dimensions.
        std: standard deviation of Q(c|x) in units of the code; one in the authors' code. None if Q also predicts its
            logarithm.
    """

    dim: int = 1
    std: float | None = 1.0

    def __post_init__(self) -> None:
        at_least_one(dim=self.dim)
        if self.std is not None and not self.std > 0:
            raise ValueError(f"std={self.std:g} must be positive, or null to be learned")

    @property
    def num_parameters(self) -> int:
        """One mean for each dimension, and one log standard deviation if it is learned."""
        return self.dim if self.std is not None else 2 * self.dim

    @property
    @abstractmethod
    def entropy(self) -> float:
        """Entropy of the prior in nats."""

    @property
    def max_information(self) -> float:
        """L_I if the mean of Q equals the code; infinite if the standard deviation is learned."""
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
        """k values for each dimension with the others at the centre: (dim · k, dim)."""

    def value_labels(self, k: int) -> list[str]:
        """The value of the dimension that varies, after its number if there are several dimensions."""
        moving = self.values(k).unflatten(0, (self.dim, k)).diagonal(dim1=0, dim2=2).T
        front = [f"{number}: " for number in range(1, self.dim + 1)] if self.dim > 1 else [""]
        return [f"{number}{value:.2g}" for number, row in zip(front, moving.tolist()) for value in row]

    def sweep(self, middle: float, reach: float, k: int) -> Tensor:
        """k values in middle ± reach for each dimension, with the others at `middle`: (dim · k, dim)."""
        steps = torch.linspace(-reach, reach, k)
        return middle + torch.kron(torch.eye(self.dim), steps.unsqueeze(1))


def power(dim: int) -> str:
    """The exponent of a distribution in each of several dimensions."""
    return f"^{dim}" if dim > 1 else ""


@formula(lambda code, symbols: fill("U({low}, {high})" + power(code.dim), code, symbols))
@dataclass(frozen=True)
class Uniform(Continuous):
    """c ~ U(low, high) in each dimension.

    Args:
        low: lower end of the prior.
        high: upper end of the prior.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"low={self.low:g} must be less than high={self.high:g}")

    @property
    def entropy(self) -> float:
        """H(c) = dim · log(high − low)."""
        return self.dim * math.log(self.high - self.low)

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n from the prior: (n, dim)."""
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, device=device, generator=rng)

    def values(self, k: int) -> Tensor:
        """Values over twice the range of the prior, −2 to 2 for U(−1, 1) (Fig. 2): (dim · k, dim)."""
        return self.sweep((self.low + self.high) / 2, TRAVERSAL_REACH * (self.high - self.low) / 2, k)


@formula(lambda code, symbols: "N(0, 1)" + power(code.dim))
@dataclass(frozen=True)
class Gaussian(Continuous):
    """c ~ N(0, I)."""

    @property
    def entropy(self) -> float:
        """H(c) = dim · ½ log 2πe."""
        return self.dim * 0.5 * math.log(2 * math.pi * math.e)

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n from the prior: (n, dim)."""
        return torch.randn(n, self.dim, device=device, generator=rng)

    def values(self, k: int) -> Tensor:
        """Values from −2 to 2: (dim · k, dim)."""
        return self.sweep(0.0, TRAVERSAL_REACH, k)


class Codes:
    """Several codes, concatenated in order.

    Args:
        codes: the codes by name.

    Raises:
        ValueError: there are no codes, or one of them is not a `Code`.
    """

    def __init__(self, codes: Mapping[str, Code]):
        if not codes:
            raise ValueError("there must be at least one code")
        for name, code in codes.items():
            if not isinstance(code, Code):
                raise ValueError(f"{name}={code} is not a code; give it a _target_, such as {__name__}.Categorical")
        self.codes = dict(codes)

    @property
    def dim(self) -> int:
        """The number of generator inputs that all codes take together."""
        return sum(code.dim for code in self.codes.values())

    @property
    def num_parameters(self) -> int:
        """The number of outputs of Q for all codes together."""
        return sum(code.num_parameters for code in self.codes.values())

    def draw(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n of each code: (n, dim)."""
        own = (rng and independent(rng, number) for number in range(len(self.codes)))
        return torch.cat([code.draw(n, device, one) for code, one in zip(self.codes.values(), own)], 1)

    def split(self, codes: Tensor) -> dict[str, Tensor]:
        """Split rows (n, dim) into codes by name, (n, dim of the code) each."""
        parts = codes.split([code.dim for code in self.codes.values()], 1)
        return dict(zip(self.codes, parts, strict=True))

    def split_outputs(self, outputs: Tensor) -> dict[str, Tensor]:
        """Split outputs of Q (n, num_parameters) by code, (n, num_parameters of the code) each."""
        parts = outputs.split([code.num_parameters for code in self.codes.values()], 1)
        return dict(zip(self.codes, parts, strict=True))

    def information(self, outputs: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """L_I = E log Q(c|x) + H(c) of each code by name: lower bounds on I(c; x) (Eq. 5), scalars in nats.

        Args:
            outputs: outputs of Q for samples, (n, num_parameters).
            codes: the codes that the samples were generated from, (n, dim).
        """
        parameters, targets = self.split_outputs(outputs), self.split(codes)
        return {
            name: code.log_prob(parameters[name], targets[name]).mean() + code.entropy
            for name, code in self.codes.items()
        }

    def traversal(self, codes: Tensor, name: str, k: int) -> Tensor:
        """Each row, with one code set to each of its m values in turn: (n, dim) → (n · m, dim).

        Raises:
            ValueError: there is no code of this name.
        """
        if name not in self.codes:
            raise ValueError(f"there is no code {name}; there are {', '.join(self.codes)}")
        values = self.codes[name].values(k).to(codes)
        parts = {other: part.repeat_interleave(len(values), 0) for other, part in self.split(codes).items()}
        return torch.cat(list((parts | {name: values.repeat(len(codes), 1)}).values()), 1)
