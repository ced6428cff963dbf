"""A loss for the discriminator and a different one for the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_runner.losses.base import FakeScores, Identifies, RatioLoss, Scores
from gan_runner.tools.formulas import Score, Symbols, formula, number, write


def translated(loss: Decoupled, symbols: Symbols) -> str:
    """The formula of the aim's half, at the score T that the aim would have found optimal."""
    fake = symbols["fake"]
    log_ratio = write(loss.critic.log_ratio, symbols.having(s=fake))
    score = Score("T", getattr(fake, "arguments", fake))
    optimal = write(loss.aim.optimal_score, symbols.having(r="log r"))
    text = write(loss.aim.generator, symbols.having(fake=score, log_ratio="log r"))
    most = number(loss.max_log_ratio)
    bounded = f"log r = {log_ratio}, at most {most}; below −{most} continued with slope 1 in the score"
    symbols.define(f"{score} = {optimal}, {bounded}" if score in text else bounded)
    return text


@dataclass(frozen=True)
class Decoupled:
    """The generator minimises the objective of one loss at the density ratio that another loss's critic estimates.

    The discriminator only estimates the ratio, so the divergence that it estimates and the divergence that the
    generator minimises are two choices (Mohamed & Lakshminarayanan 2016, arXiv:1610.03483, Section 4; Poole et al.
    2016, arXiv:1612.02780, Section 3). A score is converted to the score that is optimal for the generator's loss at
    the same ratio.

    Args:
        critic: the loss of the discriminator.
        aim: the loss of the generator.
        max_log_ratio: the bound of log ratios of fakes, in absolute value: where a critic such as least squares
            overshoots its targets, the ratio is infinite.
    """

    identifies: ClassVar[Identifies] = "ratio"

    critic: RatioLoss
    aim: RatioLoss
    max_log_ratio: float = 10.0

    def __post_init__(self) -> None:
        for role, loss in {"critic": self.critic, "aim": self.aim}.items():
            if loss.identifies != "ratio" or not isinstance(loss, RatioLoss):
                raise ValueError(
                    f"loss.{role} must have log_ratio and optimal_score, and {type(loss).__name__} does not estimate a "
                    "density ratio; choose a loss such as non_saturating or fgan_kl"
                )
        if not self.max_log_ratio > 0:
            raise ValueError(f"max_log_ratio must be positive, not {self.max_log_ratio}")

    @formula(lambda loss, symbols: write(loss.critic.discriminator, symbols))
    def discriminator(self, scores: Scores) -> Tensor:
        """The discriminator's half of `critic`."""
        return self.critic.discriminator(scores)

    @formula(translated)
    def generator(self, scores: Scores) -> Tensor:
        """The generator's half of `aim`, at the ratio that the critic estimates."""
        return self.aim.generator(FakeScores(self.aim.optimal_score(self.bounded_log_ratio(scores.fake))))

    def bounded_log_ratio(self, score: Tensor) -> Tensor:
        """The critic's log ratio, clipped at max_log_ratio; below −max_log_ratio it continues with slope one.

        Clearly fake samples so keep a gradient, even if the critic's log ratio is infinite there.
        """
        least, most = (self.optimal_score(score.new_full((), end)) for end in (-self.max_log_ratio, self.max_log_ratio))
        return self.log_ratio(score.clamp(least, most)) + (score - least).clamp(max=0)

    @formula(lambda loss, symbols: write(loss.critic.log_ratio, symbols))
    def log_ratio(self, score: Tensor) -> Tensor:
        """The log ratio that the critic's score implies."""
        return self.critic.log_ratio(score)

    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The critic's optimal score for a log ratio."""
        return self.critic.optimal_score(log_ratio)
