"""What a loss is, and what it reads."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, runtime_checkable

from torch import Tensor

Identifies = Literal["ratio", "sign", "potential"]


class Scores(Protocol):
    """The discriminator's scores (n,) on real data and on fakes."""

    @property
    def real(self) -> Tensor:
        """Scores of real data."""

    @property
    def fake(self) -> Tensor:
        """Scores of fakes."""


@runtime_checkable
class Loss(Protocol):
    """A game's value for either player: scalars to descend."""

    identifies: ClassVar[Identifies]

    def discriminator(self, scores: Scores) -> Tensor:
        """What the discriminator descends."""

    def generator(self, scores: Scores) -> Tensor:
        """What the generator descends."""
