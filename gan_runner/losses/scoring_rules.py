"""Proper scoring rules as losses: the discriminator estimates the probability that a sample is real.

Mohamed & Lakshminarayanan 2016 (arXiv:1610.03483, Table 1) list six. The Bernoulli score is in `bernoulli.py`, the
Brier score in `least_squares.py`, the hinge in `hinge.py`; the other three are here. A rule assigns a cost to each real
sample and each fake, as a function of D = σ(score). The generator minimises the cost of its fakes as if they were real
or, if `saturating`, plays the zero-sum game.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import Symbols, formula, write


def expected(loss: SymmetricScore, symbols: Symbols, kind: str, sign: str = "") -> str:
    """The formula of what samples of a kind cost on average, their scores with a sign."""
    opposite = "" if sign else "−"
    return f"E[{write(loss.cost, symbols.having(s=symbols[kind], sign=sign, opposite=opposite))}]"


@dataclass(frozen=True)
class SymmetricScore(ABC):
    """A rule that treats both classes alike: a fake with score s costs as much as a real sample with score −s.

    Args:
        saturating: whether the generator plays the zero-sum game: it maximises the cost of fakes.
    """

    identifies: ClassVar[Identifies] = "ratio"

    saturating: bool = False

    @abstractmethod
    def cost(self, score: Tensor) -> Tensor:
        """The cost of real samples with these scores: (n,)."""

    @formula(lambda loss, symbols: f"{expected(loss, symbols, 'real')} + {expected(loss, symbols, 'fake', '−')}")
    def discriminator(self, scores: Scores) -> Tensor:
        """E_p[cost(s)] + E_q[cost(−s)]."""
        return self.cost(scores.real).mean() + self.cost(-scores.fake).mean()

    @formula(
        lambda loss, symbols: (
            f"−{expected(loss, symbols, 'fake', '−')}" if loss.saturating else expected(loss, symbols, "fake")
        )
    )
    def generator(self, scores: Scores) -> Tensor:
        """E_q[cost(s)], or −E_q[cost(−s)] if saturating."""
        return -self.cost(-scores.fake).mean() if self.saturating else self.cost(scores.fake).mean()


@dataclass(frozen=True)
class LogitScore(SymmetricScore):
    """A rule whose optimal score is the logit of p / (p + q), which is the log ratio log p/q."""

    @formula("{s}")
    def log_ratio(self, score: Tensor) -> Tensor:
        """The score itself."""
        return score

    @formula("{r}")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The log ratio itself."""
        return log_ratio


@dataclass(frozen=True)
class Exponential(LogitScore):
    """The exponential score, known from boosting: a real sample costs ((1 − D) / D)^½ = exp(−s / 2)."""

    @formula("exp({opposite}{s} / 2)")
    def cost(self, score: Tensor) -> Tensor:
        """exp(−s / 2)."""
        return (-score / 2).exp()


@dataclass(frozen=True)
class Spherical(LogitScore):
    """The spherical score: a real sample costs −D / (D² + (1 − D)²)^½ = −σ(2s)^½."""

    @formula("−√σ({sign}2 {s})")
    def cost(self, score: Tensor) -> Tensor:
        """−σ(2s)^½."""
        return -(logsigmoid(2 * score) / 2).exp()


@dataclass(frozen=True)
class Misclassification(SymmetricScore):
    """The misclassification rate: a real sample costs 1[D < ½]. At D = ½ both classes cost ½ (in Table 1, 1 and 0).

    Its gradient is zero, so a straight-through estimator uses that of σ(−s / temperature) instead. Any score of the
    right sign is optimal.

    Args:
        temperature: the width of the sigmoid.
    """

    identifies: ClassVar[Identifies] = "sign"

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"the temperature must be positive, not {self.temperature}")

    @formula("1[{sign}{s} < 0]", "1[s < 0] has the slope of σ(−s / {temperature})")
    def cost(self, score: Tensor) -> Tensor:
        """1[s < 0], with the gradient of σ(−s / temperature)."""
        ramp = (-score / self.temperature).sigmoid()
        return (1 - score.detach().sign()) / 2 + (ramp - ramp.detach())

    @formula("{s}")
    def sign(self, score: Tensor) -> Tensor:
        """1 where p > q, −1 where p < q."""
        return score.sign()
