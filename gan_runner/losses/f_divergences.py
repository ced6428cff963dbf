"""f-GAN: variational minimisation of f-divergences (Nowozin et al. 2016, arXiv:1606.00709).

For a convex f, D_f(p‖q) = E_q[f(p/q)] ≥ E_p[T(x)] − E_q[f*(T(x))], with equality at T = f′(p/q) (Eq. 4). The
discriminator maximises the bound, so minus its loss is a lower bound of D_f. Its score s is unconstrained, and T = g(s)
lies in the domain of the conjugate f* (Table 6). Here every g increases, so a greater score is more real.

At the optimum the generator's gradient is exactly that of D_f. With `Decoupled` the generator's f may differ from the
discriminator's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import Symbols, bracketed, formula, write

Objective = Literal["variational", "non_saturating", "plug_in"]


@dataclass(frozen=True)
class Variational(ABC):
    """A divergence, defined by f, the witness T and the conjugate f*(T).

    Args:
        objective: the generator's loss. `variational`: −E_q[f*(T)], the bound (Algorithm 1). `non_saturating`: −E_q[T]
            (Section 3.2). `plug_in`: E_q[f(r)] at the ratio r that the score implies, whose gradient is that of D_f for
            KL(q‖p) only (Mohamed & Lakshminarayanan 2016, arXiv:1610.03483, Section 3.2).
    """

    objective: Objective = "variational"

    @abstractmethod
    def f(self, log_ratio: Tensor) -> Tensor:
        """f(r) as a function of log r."""

    @abstractmethod
    def witness(self, score: Tensor) -> Tensor:
        """T = g(s)."""

    @abstractmethod
    def conjugate(self, score: Tensor) -> Tensor:
        """f*(T) as a function of the score."""

    @formula(
        lambda loss, symbols: (
            f"E[{write(loss.conjugate, symbols.having(s=symbols['fake']))}]"
            f" − E[{write(loss.witness, symbols.having(s=symbols['real']))}]"
        )
    )
    def discriminator(self, scores: Scores) -> Tensor:
        """E_q[f*(T)] − E_p[T]: minus the bound."""
        return self.conjugate(scores.fake).mean() - self.witness(scores.real).mean()

    @formula(lambda loss, symbols: FORMULAS[loss.objective](loss, symbols.having(s=symbols["fake"])))
    def generator(self, scores: Scores) -> Tensor:
        """The loss that `objective` names."""
        return OBJECTIVES[self.objective](self, scores.fake).mean()


OBJECTIVES: Mapping[Objective, Callable[[Any, Tensor], Tensor]] = {
    "variational": lambda divergence, fake: -divergence.conjugate(fake),
    "non_saturating": lambda divergence, fake: -divergence.witness(fake),
    "plug_in": lambda divergence, fake: divergence.f(divergence.log_ratio(fake)),
}


def plug_in(divergence: Any, fake: Symbols) -> str:
    """The formula of the divergence at the ratio r that a fake's score implies."""
    if "log_ratio" not in fake:  # else `Decoupled` defines it
        fake.define(f"log r = {write(divergence.log_ratio, fake)}")
    return f"E[{write(divergence.f, fake)}]"


FORMULAS: Mapping[Objective, Callable[[Any, Symbols], str]] = {
    "variational": lambda divergence, fake: f"−E[{write(divergence.conjugate, fake)}]",
    "non_saturating": lambda divergence, fake: f"−E[{write(divergence.witness, fake)}]",
    "plug_in": plug_in,
}


@dataclass(frozen=True)
class FDivergence(Variational):
    """A divergence whose f is smooth and strictly convex, so that T = f′(r) determines r."""

    identifies: ClassVar[Identifies] = "ratio"

    @formula("{s}")
    def log_ratio(self, score: Tensor) -> Tensor:
        """The log r for which f′(r) = T: by default the score itself."""
        return score

    @formula("{r}")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """The optimal score for a log ratio: the inverse of `log_ratio`."""
        return log_ratio


@dataclass(frozen=True)
class KL(FDivergence):
    """KL(p‖q) = E_p[log p/q]: f(u) = u log u. The score is 1 + log r."""

    @formula("r log r")
    def f(self, log_ratio: Tensor) -> Tensor:
        """r log r."""
        return log_ratio.exp() * log_ratio

    @formula("{s}")
    def witness(self, score: Tensor) -> Tensor:
        """s."""
        return score

    @formula("exp({s} − 1)")
    def conjugate(self, score: Tensor) -> Tensor:
        """exp(T − 1)."""
        return (score - 1).exp()

    @formula("{s} − 1")
    def log_ratio(self, score: Tensor) -> Tensor:
        """s − 1."""
        return score - 1

    @formula("1 + {r}")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """1 + log r."""
        return 1 + log_ratio


@dataclass(frozen=True)
class ReverseKL(FDivergence):
    """KL(q‖p) = E_q[log q/p]: f(u) = −log u."""

    @formula("−log r")
    def f(self, log_ratio: Tensor) -> Tensor:
        """−log r."""
        return -log_ratio

    @formula("−exp(−{s})")
    def witness(self, score: Tensor) -> Tensor:
        """−exp(−s)."""
        return -(-score).exp()

    @formula("{s} − 1")
    def conjugate(self, score: Tensor) -> Tensor:
        """−1 − log(−T) = s − 1."""
        return score - 1


@dataclass(frozen=True)
class Pearson(FDivergence):
    """Pearson's χ² = ∫ (p − q)² / q: f(u) = (u − 1)². The score is 2 (r − 1); below −2 it implies no ratio."""

    @formula("(r − 1)²")
    def f(self, log_ratio: Tensor) -> Tensor:
        """(r − 1)²."""
        return log_ratio.expm1().square()

    @formula("{s}")
    def witness(self, score: Tensor) -> Tensor:
        """s."""
        return score

    @formula("{s}²/4 + {s}")
    def conjugate(self, score: Tensor) -> Tensor:
        """T²/4 + T."""
        return score.square() / 4 + score

    @formula("log(1 + {s}/2)")
    def log_ratio(self, score: Tensor) -> Tensor:
        """log(1 + s/2), −∞ where the score is below −2."""
        return (score / 2).clamp(min=-1).log1p()

    @formula("2 (exp({r}) − 1)")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """2 (r − 1)."""
        return 2 * log_ratio.expm1()


@dataclass(frozen=True)
class Neyman(FDivergence):
    """Neyman's χ² = ∫ (p − q)² / p: f(u) = (1 − u)² / u. The score is 2 log r."""

    @formula("(1 − r)² / r")
    def f(self, log_ratio: Tensor) -> Tensor:
        """(1 − r)² / r = (r^½ − r^−½)²."""
        return 4 * (log_ratio / 2).sinh().square()

    @formula("1 − exp(−{s})")
    def witness(self, score: Tensor) -> Tensor:
        """1 − exp(−s)."""
        return -(-score).expm1()

    @formula("2 − 2 exp(−{s}/2)")
    def conjugate(self, score: Tensor) -> Tensor:
        """2 − 2 (1 − T)^½."""
        return -2 * (-score / 2).expm1()

    @formula("{s}/2")
    def log_ratio(self, score: Tensor) -> Tensor:
        """s / 2."""
        return score / 2

    @formula("2 {r}")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """2 log r."""
        return 2 * log_ratio


@dataclass(frozen=True)
class Hellinger(FDivergence):
    """The squared Hellinger distance ∫ (p^½ − q^½)²: f(u) = (u^½ − 1)². The score is ½ log r."""

    @formula("(√r − 1)²")
    def f(self, log_ratio: Tensor) -> Tensor:
        """(r^½ − 1)²."""
        return (log_ratio / 2).expm1().square()

    @formula("1 − exp(−{s})")
    def witness(self, score: Tensor) -> Tensor:
        """1 − exp(−s)."""
        return -(-score).expm1()

    @formula("exp({s}) − 1")
    def conjugate(self, score: Tensor) -> Tensor:
        """T / (1 − T) = exp(s) − 1."""
        return score.expm1()

    @formula("2 {s}")
    def log_ratio(self, score: Tensor) -> Tensor:
        """2s."""
        return 2 * score

    @formula("½ {r}")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """½ log r."""
        return log_ratio / 2


@dataclass(frozen=True)
class GANDivergence(FDivergence):
    """The value of the original GAN, 2 JS − log 4: f(u) = u log u − (u + 1) log(u + 1)."""

    @formula("r log r − (r + 1) log(r + 1)")
    def f(self, log_ratio: Tensor) -> Tensor:
        """r log r − (r + 1) log(r + 1)."""
        return -log_ratio.exp() * softplus(-log_ratio) - softplus(log_ratio)

    @formula("log σ({s})")
    def witness(self, score: Tensor) -> Tensor:
        """log σ(s)."""
        return logsigmoid(score)

    @formula("−log(1 − σ({s}))")
    def conjugate(self, score: Tensor) -> Tensor:
        """−log(1 − exp T) = softplus(s)."""
        return softplus(score)


@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """KL(p‖m) + KL(q‖m) with m = (p + q) / 2, which is 2 JS: f(u) = u log u − (u + 1) log((u + 1) / 2)."""

    @formula("r log r − (r + 1) log((r + 1) / 2)")
    def f(self, log_ratio: Tensor) -> Tensor:
        """r log r − (r + 1) log((r + 1) / 2)."""
        return log_ratio.exp() * (math.log(2) - softplus(-log_ratio)) + math.log(2) - softplus(log_ratio)

    @formula("log 2σ({s})")
    def witness(self, score: Tensor) -> Tensor:
        """log 2σ(s)."""
        return math.log(2) + logsigmoid(score)

    @formula("−log 2(1 − σ({s}))")
    def conjugate(self, score: Tensor) -> Tensor:
        """−log(2 − exp T) = softplus(s) − log 2."""
        return softplus(score) - math.log(2)


MIXTURE = "m(s) = {weight_of_fakes} + {pi} exp s"
"""The definition of m/q as a function of s = log r."""


@dataclass(frozen=True)
class WeightedJensenShannon(FDivergence):
    """π KL(p‖m) + (1 − π) KL(q‖m), m = π p + (1 − π) q (Huszár 2015, arXiv:1511.05101, Eq. 8; Nowozin et al., Table 5).

    f(u) = π u log u − (1 − π + π u) log(1 − π + π u). It resembles KL(p‖q) for small π and KL(q‖p) for large π.

    Args:
        pi: the weight of p.
    """

    pi: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.pi < 1:
            raise ValueError(f"pi must lie strictly between 0 and 1, not {self.pi}")

    @property
    def weight_of_fakes(self) -> float:
        """1 − π."""
        return 1 - self.pi

    def posterior_logit(self, log_ratio: Tensor) -> Tensor:
        """The logit of π r / (1 − π + π r)."""
        return log_ratio + math.log(self.pi / (1 - self.pi))

    @formula("{pi} r log r − m(log r) log m(log r)", MIXTURE)
    def f(self, log_ratio: Tensor) -> Tensor:
        """π r log r − (1 − π + π r) log(1 − π + π r), where m/q = 1 − π + π r."""
        log_mixture = math.log(1 - self.pi) + softplus(self.posterior_logit(log_ratio))
        ratio = log_ratio.exp()
        return self.pi * ratio * (log_ratio - log_mixture) - (1 - self.pi) * log_mixture

    @formula("{pi} ({s} − log m({s}))", MIXTURE)
    def witness(self, score: Tensor) -> Tensor:
        """π log(r / (1 − π + π r))."""
        return self.pi * (logsigmoid(self.posterior_logit(score)) - math.log(self.pi))

    @formula("{weight_of_fakes} log m({s})", MIXTURE)
    def conjugate(self, score: Tensor) -> Tensor:
        """(1 − π) log(1 − π + π r)."""
        return (1 - self.pi) * (math.log(1 - self.pi) + softplus(self.posterior_logit(score)))


@dataclass(frozen=True)
class Alpha(FDivergence):
    """The α-divergence: f(u) = (u^α − 1 − α (u − 1)) / (α (α − 1)).

    For α = ½ it is twice the squared Hellinger distance, for 2 half of Pearson's χ², for −1 half of Neyman's χ²; the
    limits are KL(p‖q) for α → 1 and KL(q‖p) for α → 0.

    Args:
        alpha: any number but 0 and 1.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if self.alpha in (0, 1):
            raise ValueError(
                f"the formula of the α-divergence divides by zero at alpha={self.alpha:g}; choose loss=fgan_kl for 1, "
                "loss=fgan_reverse_kl for 0"
            )

    @property
    def factor(self) -> str:
        """α as formulas write it."""
        return bracketed(self.alpha)

    @property
    def factor_minus_1(self) -> str:
        """α − 1 as formulas write it."""
        return bracketed(self.alpha - 1)

    @formula("(r^{factor} − 1 − {factor} (r − 1)) / ({factor} ({factor} − 1))")
    def f(self, log_ratio: Tensor) -> Tensor:
        """(r^α − 1 − α (r − 1)) / (α (α − 1))."""
        a = self.alpha
        return ((a * log_ratio).expm1() - a * log_ratio.expm1()) / (a * (a - 1))

    @formula("(exp({factor_minus_1} {s}) − 1) / {factor_minus_1}")
    def witness(self, score: Tensor) -> Tensor:
        """(r^(α − 1) − 1) / (α − 1)."""
        return ((self.alpha - 1) * score).expm1() / (self.alpha - 1)

    @formula("(exp({factor} {s}) − 1) / {factor}")
    def conjugate(self, score: Tensor) -> Tensor:
        """(r^α − 1) / α."""
        return (self.alpha * score).expm1() / self.alpha


@dataclass(frozen=True)
class TotalVariation(Variational):
    """Total variation ½ ∫ |p − q|: f(u) = ½ |u − 1|. At the optimum T = ½ tanh(s) is ½ where p > q, −½ where p < q."""

    identifies: ClassVar[Identifies] = "sign"

    def __post_init__(self) -> None:
        if self.objective == "plug_in":
            raise ValueError(
                "objective=plug_in needs a density ratio, and total variation identifies only which density is larger; "
                "choose loss.objective=variational"
            )

    @formula("½ |r − 1|")
    def f(self, log_ratio: Tensor) -> Tensor:
        """½ |r − 1|."""
        return log_ratio.expm1().abs() / 2

    @formula("½ tanh {s}")
    def witness(self, score: Tensor) -> Tensor:
        """½ tanh(s)."""
        return score.tanh() / 2

    @formula("½ tanh {s}")
    def conjugate(self, score: Tensor) -> Tensor:
        """T."""
        return self.witness(score)

    @formula("{s}")
    def sign(self, score: Tensor) -> Tensor:
        """1 where p > q, −1 where p < q."""
        return score.sign()
