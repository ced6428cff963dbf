"""Least squares GAN: the discriminator minimises the Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import formula, number


def squared(score: str, target: float) -> str:
    """The formula of a mean squared distance."""
    return f"E[{difference(score, target)}²]"


def difference(score: str, target: float) -> str:
    """The formula of a distance, in brackets if the target is not 0."""
    return f"({score} {'+' if target < 0 else '−'} {number(abs(target))})" if target else score


@dataclass(frozen=True)
class LeastSquares:
    """LSGAN (Mao et al. 2017, arXiv:1611.04076, Eq. 2).

    In the paper's notation fake_target is a, real_target is b, generator_target is c. The optimal score is
    (b p + a q) / (p + q) (Eq. 5).
    """

    identifies: ClassVar[Identifies] = "ratio"

    real_target: float = 1.0
    fake_target: float = 0.0
    generator_target: float = 1.0

    def __post_init__(self) -> None:
        if not self.real_target > self.fake_target:
            raise ValueError(f"real_target must exceed fake_target, not {self.real_target} and {self.fake_target}")

    @formula(
        lambda loss, symbols: (
            f"½ {squared(symbols['real'], loss.real_target)} + ½ {squared(symbols['fake'], loss.fake_target)}"
        )
    )
    def discriminator(self, scores: Scores) -> Tensor:
        """½ E_p[(D − b)²] + ½ E_q[(D − a)²]."""
        real = (scores.real - self.real_target).square().mean()
        fake = (scores.fake - self.fake_target).square().mean()
        return (real + fake) / 2

    @formula(lambda loss, symbols: f"½ {squared(symbols['fake'], loss.generator_target)}")
    def generator(self, scores: Scores) -> Tensor:
        """½ E_q[(D − c)²]."""
        return (scores.fake - self.generator_target).square().mean() / 2

    @formula(
        lambda loss, symbols: (
            f"log({difference(symbols['s'], loss.fake_target)} / ({number(loss.real_target)} − {symbols['s']}))"
        )
    )
    def log_ratio(self, score: Tensor) -> Tensor:
        """log p/q = log (D − a) / (b − D); infinite where D lies outside the targets."""
        return (score - self.fake_target).clamp(min=0).log() - (self.real_target - score).clamp(min=0).log()

    @formula("({real_target} exp({r}) + {fake_target}) / (exp({r}) + 1)")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """(b r + a) / (r + 1) at the ratio r: the inverse of `log_ratio`."""
        return self.fake_target + (self.real_target - self.fake_target) * log_ratio.sigmoid()
