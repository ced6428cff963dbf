"""What a loss is, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

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


class RatioLoss(Loss, Protocol):
    """A loss whose optimal score is a function of the density ratio, and the other way round."""

    def log_ratio(self, score: Tensor) -> Tensor:
        """The logarithm of p/q that an optimal score (n,) implies."""

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The optimal score where log p/q is this: the inverse of `log_ratio`."""
