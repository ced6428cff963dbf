"""What a loss is, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Identifies = Literal["ratio", "relative", "order", "sign", "potential"]


class Scores(Protocol):
    """The discriminator's scores (n,) on real data and on fakes."""

    @property
    def real(self) -> Tensor:
        """Scores of real data."""

    @property
    def fake(self) -> Tensor:
        """Scores of fakes."""


@dataclass(frozen=True)
class GivenScores:
    """Scores of data and fakes, for a loss."""

    real: Tensor
    fake: Tensor


@dataclass(frozen=True)
class FakeScores:
    """Scores of a generator's turn, for a loss that looks at fakes alone."""

    fake: Tensor

    @property
    def real(self) -> Tensor:
        """There are none.

        Raises:
            AttributeError: always.
        """
        raise AttributeError("there are no scores of real data here")


@runtime_checkable
class Loss(Protocol):
    """A game's value for either player: scalars to descend."""

    identifies: ClassVar[Identifies]

    def discriminator(self, scores: Scores) -> Tensor:
        """What the discriminator descends."""

    def generator(self, scores: Scores) -> Tensor:
        """What the generator descends."""


@runtime_checkable
class RatioLoss(Loss, Protocol):
    """A loss whose optimal score is a function of the density ratio, and the other way round."""

    def log_ratio(self, score: Tensor) -> Tensor:
        """The logarithm of p/q that an optimal score (n,) implies."""

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The optimal score where log p/q is this: the inverse of `log_ratio`."""


@runtime_checkable
class SignLoss(Loss, Protocol):
    """A loss whose optimal score says which of both densities is larger."""

    def sign(self, score: Tensor) -> Tensor:
        """Positive where a score (n,) takes a sample for one of the data."""


@runtime_checkable
class BoundsDivergence(Protocol):
    """A loss whose discriminator bounds an f-divergence."""

    def f(self, log_ratio: Tensor) -> Tensor:
        """f(r), by the logarithm of r."""


def generator_slope(loss: Loss, scores: Tensor, among: Scores, pairings: int = 10) -> Tensor:
    """n ∂L/∂s of the generator's loss L at fakes' scores (k,), each one among n others: (k,).

    A fiftieth of the n fakes is replaced at a time, so that means over fakes stay what they are. Where a loss compares
    every fake with one real, this is the mean over `pairings`, spread evenly over the ranks of the reals.

    Args:
        loss: whose generator's half is meant.
        scores: (k,), where the slope is wanted.
        among: scores (n,) of the fakes that there are, and of as many of the data.
        pairings: how many, at most n.
    """
    n = len(among.fake)
    apart = max(1, n // pairings)
    ranked = among.real.sort().values
    slopes = []
    for part in scores.detach().split(max(1, n // 50)):
        s = part.clone().requires_grad_()
        fake = torch.cat([s, among.fake[len(s) :]])
        shifts = range(apart // 2, n, apart)
        with torch.enable_grad():
            losses = [loss.generator(GivenScores(ranked.roll(shift), fake)) for shift in shifts]
            mean = torch.stack(losses).mean()
        slopes.append(n * torch.autograd.grad(mean, s)[0])
    return torch.cat(slopes)
