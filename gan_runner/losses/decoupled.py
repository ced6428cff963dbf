"""One loss for the discriminator, another for the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_runner.losses.base import FakeScores, Identifies, RatioLoss, Scores


@dataclass(frozen=True)
class Decoupled:
    """The generator descends the objective of one loss at the ratio which the discriminator of another implies.

    The discriminator estimates a ratio well or badly whatever is done with it, so the divergence to be estimated and
    the divergence to be descended are two choices (Mohamed & Lakshminarayanan 2016, arXiv:1610.03483, Section 4; Poole
    et al. 2016, arXiv:1612.02780, Section 3). A score is translated into the score that the generator's loss would
    have found optimal at the same ratio.

    Args:
        critic: what the discriminator descends.
        aim: whose generator objective is descended.
        max_log_ratio: a fake's score that implies more, or less than minus this, counts as one that implies this: where
            a critic such as least squares overshoots its targets, the ratio is infinite.
    """

    identifies: ClassVar[Identifies] = "ratio"

    critic: RatioLoss
    aim: RatioLoss
    max_log_ratio: float = 10.0

    def __post_init__(self) -> None:
        for role, loss in {"critic": self.critic, "aim": self.aim}.items():
            if loss.identifies != "ratio" or not isinstance(loss, RatioLoss):
                raise ValueError(
                    f"loss.{role} must identify a density ratio and offer optimal_score, and {type(loss).__name__} "
                    "does not; choose one such as non_saturating or fgan_kl"
                )
        if not self.max_log_ratio > 0:
            raise ValueError(f"max_log_ratio must be positive, not {self.max_log_ratio}")

    def discriminator(self, scores: Scores) -> Tensor:
        """The critic's."""
        return self.critic.discriminator(scores)

    def generator(self, scores: Scores) -> Tensor:
        """The aim's, at the ratio that the critic implies."""
        return self.aim.generator(FakeScores(self.aim.optimal_score(self.bounded_log_ratio(scores.fake))))

    def bounded_log_ratio(self, score: Tensor) -> Tensor:
        """The critic's log ratio, cut at max_log_ratio; below −max_log_ratio it goes on with slope one.

        So fakes that the critic is sure of are still pulled, even by a critic whose log ratio is infinite there.
        """
        least, most = (self.optimal_score(score.new_full((), end)) for end in (-self.max_log_ratio, self.max_log_ratio))
        return self.log_ratio(score.clamp(least, most)) + (score - least).clamp(max=0)

    def log_ratio(self, score: Tensor) -> Tensor:
        """The critic's."""
        return self.critic.log_ratio(score)

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The critic's."""
        return self.critic.optimal_score(log_ratio)
