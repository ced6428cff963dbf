"""The original game: the discriminator is a classifier (Goodfellow et al. 2014, arXiv:1406.2661)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from gan_runner.losses.base import Identifies, Scores


@dataclass(frozen=True)
class Bernoulli:
    """The discriminator's half: cross-entropy of a classifier whose logits are the scores.

    Targets other than 1 and 0 smooth the labels (Salimans et al. 2016, arXiv:1606.03498, Section 3.4): with
    real target α and fake target β the optimal discriminator is D(x) = (α p(x) + β q(x)) / (p(x) + q(x)).
    """

    identifies: ClassVar[Identifies] = "ratio"

    real_target: float = 1.0
    fake_target: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fake_target < self.real_target <= 1:
            raise ValueError(
                "targets are probabilities with fake_target < real_target, "
                f"not {self.fake_target} and {self.real_target}"
            )

    @property
    def labels_are_hard(self) -> bool:
        """Whether nothing is smoothed."""
        return (self.real_target, self.fake_target) == (1.0, 0.0)

    def discriminator(self, scores: Scores) -> Tensor:
        """−E_p[log D] − E_q[log(1 − D)], D = σ(score), with the targets as soft labels."""
        real, fake = scores.real, scores.fake
        hard = softplus(-real).mean() + softplus(fake).mean()
        if self.labels_are_hard:
            return hard
        return hard + (1 - self.real_target) * real.mean() - self.fake_target * fake.mean()

    def log_ratio(self, score: Tensor) -> Tensor:
        """The logarithm of p/q = (D − β) / (α − D), where D = σ(score): the score itself for hard labels.

        Infinite where D lies outside the targets. 1 − D is computed as σ(−score), which keeps its digits
        where D is nearly one.
        """
        if self.labels_are_hard:
            return score
        sure, doubt = score.sigmoid(), (-score).sigmoid()  # D and 1 − D
        above = (1 - self.fake_target) * sure - self.fake_target * doubt  # D − β
        below = self.real_target * doubt - (1 - self.real_target) * sure  # α − D
        return above.clamp(min=0).log() - below.clamp(min=0).log()

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The logit of D = (α r + β) / (r + 1) at the ratio r: the inverse of `log_ratio`."""
        if self.labels_are_hard:
            return log_ratio
        between = self.real_target - self.fake_target
        sure = self.fake_target + between * log_ratio.sigmoid()  # D
        doubt = 1 - self.real_target + between * (-log_ratio).sigmoid()  # 1 − D
        return sure.log() - doubt.log()


@dataclass(frozen=True)
class Minimax(Bernoulli):
    """The zero-sum game of Eq. 1: the generator descends E_q[log(1 − D)], which saturates where D is sure."""

    def generator(self, scores: Scores) -> Tensor:
        """E_q[log(1 − D)]."""
        return -softplus(scores.fake).mean()


@dataclass(frozen=True)
class NonSaturating(Bernoulli):
    """The game of Section 3: the generator descends −E_q[log D], whose gradient is strong where D is sure."""

    def generator(self, scores: Scores) -> Tensor:
        """−E_q[log D]."""
        return softplus(-scores.fake).mean()
