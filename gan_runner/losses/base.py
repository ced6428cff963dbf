"""Protocols of losses and of the scores that they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Identifies = Literal["ratio", "relative", "order", "sign", "potential"]


class Scores(Protocol):
    """The discriminator's scores (n,) of real samples and of fakes."""

    @property
    def real(self) -> Tensor:
        """Scores of real samples."""

    @property
    def fake(self) -> Tensor:
        """Scores of fakes."""


@dataclass(frozen=True)
class GivenScores:
    """Scores of real samples and fakes (n,), given as tensors."""

    real: Tensor
    fake: Tensor


@dataclass(frozen=True)
class FakeScores:
    """Scores (n,) of fakes alone, for generator losses that read nothing else."""

    fake: Tensor

    @property
    def real(self) -> Tensor:
        """Scores of real samples are not available.

        Raises:
            AttributeError: always.
        """
        raise AttributeError("the loss reads scores of real samples, and only those of fakes are available")


@runtime_checkable
class Loss(Protocol):
    """The objectives of both players: scalars to minimise."""

    identifies: ClassVar[Identifies]

    def discriminator(self, scores: Scores) -> Tensor:
        """The discriminator's loss, a scalar."""

    def generator(self, scores: Scores) -> Tensor:
        """The generator's loss, a scalar."""


@runtime_checkable
class RatioLoss(Loss, Protocol):
    """A loss whose optimal score is an invertible function of the density ratio."""

    def log_ratio(self, score: Tensor) -> Tensor:
        """The log density ratio log p/q that an optimal score (n,) implies."""

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The optimal score for a log density ratio (n,): the inverse of `log_ratio`."""


@runtime_checkable
class SignLoss(Loss, Protocol):
    """A loss whose optimal score tells which of the two densities is larger."""

    def sign(self, score: Tensor) -> Tensor:
        """Positive where a score (n,) implies p > q, negative where it implies p < q."""


@runtime_checkable
class BoundsDivergence(Protocol):
    """A loss whose discriminator bounds an f-divergence."""

    def f(self, log_ratio: Tensor) -> Tensor:
        """f(r) as a function of log r."""


def generator_slope(loss: Loss, scores: Tensor, among: Scores, pairings: int = 10) -> Tensor:
    """The derivative n ∂L/∂s of the generator's loss L by the score of one fake in a batch of n, at scores (k,): (k,).

    A fiftieth of the batch is replaced at a time, so that means over fakes hardly change. If a loss compares every fake
    with one real sample, this is the mean over `pairings`, spread evenly over the ranks of the real scores.

    Args:
        loss: the loss L.
        scores: where the derivative is evaluated: (k,).
        among: scores (n,) of a batch of fakes and of as many real samples.
        pairings: the number of pairings, at most n.
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
