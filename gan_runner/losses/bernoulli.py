"""The original GAN: the discriminator is a classifier (Goodfellow et al. 2014, arXiv:1406.2661)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import Symbols, fill, formula, number


def cross_entropy(loss: Bernoulli, symbols: Symbols) -> str:
    """The formula of the discriminator's half; targets that are smoothed show."""
    smoothed = zip((loss.real_target, loss.fake_target), (symbols["real"], symbols["fake"]), strict=True)
    return " − ".join(
        ("−" if half == 0 else "") + expected(target, score) for half, (target, score) in enumerate(smoothed)
    )


def expected(target: float, score: str) -> str:
    """The expected log-likelihood of a target between 0 and 1."""
    sure, doubt = f"log σ({score})", f"log(1 − σ({score}))"
    if target in (0, 1):
        return f"E[{sure if target else doubt}]"
    return f"E[{number(target)} {sure} + {number(1 - target)} {doubt}]"


@dataclass(frozen=True)
class Bernoulli:
    """The discriminator's loss: the cross-entropy of a classifier whose logits are the scores.

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
        """Whether the targets are 1 and 0, without smoothing."""
        return (self.real_target, self.fake_target) == (1.0, 0.0)

    @formula(cross_entropy)
    def discriminator(self, scores: Scores) -> Tensor:
        """−E_p[log D] − E_q[log(1 − D)] with D = σ(score), for targets 1 and 0; other targets act as soft labels."""
        real, fake = scores.real, scores.fake
        hard = softplus(-real).mean() + softplus(fake).mean()
        if self.labels_are_hard:
            return hard
        return hard + (1 - self.real_target) * real.mean() - self.fake_target * fake.mean()

    @formula(
        lambda loss, symbols: fill(
            "{s}" if loss.labels_are_hard else "log((σ({s}) − {fake_target}) / ({real_target} − σ({s})))", loss, symbols
        )
    )
    def log_ratio(self, score: Tensor) -> Tensor:
        """log p/q = log (D − β) / (α − D), where D = σ(score): the score itself for hard labels.

        Infinite where D lies outside the targets. 1 − D is computed as σ(−score), which stays precise where D is close
        to one.
        """
        if self.labels_are_hard:
            return score
        d, one_minus_d = score.sigmoid(), (-score).sigmoid()
        above = (1 - self.fake_target) * d - self.fake_target * one_minus_d  # D − β
        below = self.real_target * one_minus_d - (1 - self.real_target) * d  # α − D
        return above.clamp(min=0).log() - below.clamp(min=0).log()

    @formula(
        lambda loss, symbols: fill(
            "{r}" if loss.labels_are_hard else "logit(({real_target} exp({r}) + {fake_target}) / (exp({r}) + 1))",
            loss,
            symbols,
        )
    )
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The logit of D = (α r + β) / (r + 1) at the ratio r: the inverse of `log_ratio`."""
        if self.labels_are_hard:
            return log_ratio
        span = self.real_target - self.fake_target
        d = self.fake_target + span * log_ratio.sigmoid()
        one_minus_d = 1 - self.real_target + span * (-log_ratio).sigmoid()
        return d.log() - one_minus_d.log()


@dataclass(frozen=True)
class Minimax(Bernoulli):
    """The zero-sum game of Eq. 1: the generator minimises E_q[log(1 − D)], whose gradient vanishes as D → 0."""

    @formula("E[log(1 − σ({fake}))]")
    def generator(self, scores: Scores) -> Tensor:
        """E_q[log(1 − D)]."""
        return -softplus(scores.fake).mean()


@dataclass(frozen=True)
class NonSaturating(Bernoulli):
    """The loss of Section 3: the generator minimises −E_q[log D], whose gradient stays strong as D → 0."""

    @formula("−E[log σ({fake})]")
    def generator(self, scores: Scores) -> Tensor:
        """−E_q[log D]."""
        return softplus(-scores.fake).mean()
