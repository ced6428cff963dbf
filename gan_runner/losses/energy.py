"""Energy-based GANs: the critic is an autoencoder. Its reconstruction error is the energy, and minus that the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import relu

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import formula, number


@dataclass(frozen=True)
class EBGAN:
    """Energy-based GAN with energy E = −score ≥ 0 (Zhao et al. 2017, arXiv:1609.03126, Eqs. 1 and 2).

    The optimal energy is 0 where p > q and m where q > p (Lemma 1 and Theorem 1). As with the hinge loss, it tells
    which density is larger and not by how much.

    Args:
        margin: m, the energy beyond which fakes cost nothing.
    """

    identifies: ClassVar[Identifies] = "sign"

    margin: float = 1.0

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"the margin of the energy must be positive, not {self.margin}")

    @formula("E[L({real.arguments})] + E[max(0, {margin} − L({fake.arguments}))]")
    def discriminator(self, scores: Scores) -> Tensor:
        """E_p[E] + E_q[max(0, m − E)]; the minimum is m (1 − TV(p, q))."""
        return -scores.real.mean() + relu(self.margin + scores.fake).mean()

    @formula("E[L({fake.arguments})]")
    def generator(self, scores: Scores) -> Tensor:
        """E_q[E]."""
        return -scores.fake.mean()

    @formula(lambda loss, symbols: f"{symbols['s']} + {number(loss.margin / 2)}")
    def sign(self, score: Tensor) -> Tensor:
        """1 where the energy is below half the margin (p > q), −1 where it is above."""
        return torch.sign(score + self.margin / 2)

    def total_variation(self, scores: Scores) -> Tensor:
        """The discriminator's estimate of TV(p, q), 1 − loss / m; in expectation a lower bound."""
        return 1 - self.discriminator(scores) / self.margin


@dataclass(frozen=True)
class BEGAN:
    """Boundary equilibrium GAN with energy L = −score ≥ 0 (Berthelot et al. 2017, arXiv:1703.10717, Section 3.4).

    The difference of the mean energies of real samples and fakes is a lower bound of the Wasserstein distance between
    the distributions of their energies (Section 3.2). A proportional controller sets the balance k between 0 and 1;
    `terms.BoundaryEquilibrium` stores it.

    Args:
        diversity: the target γ of the ratio E[L(G(z))] / E[L(x)] (Eq. 5).
        gain: the gain λ_k of the controller.
    """

    identifies: ClassVar[Identifies] = "potential"

    diversity: float = 0.5
    gain: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.diversity <= 1:
            raise ValueError(f"diversity must be above 0 and at most 1, not {self.diversity}")
        if not self.gain > 0:
            raise ValueError(f"the controller's gain must be positive, not {self.gain}")

    @formula(
        "E[L({real.arguments})] − k E[L({fake.arguments})]",
        "k ← clip(k + {gain} ({diversity} E[L({real.arguments})] − E[L({fake.arguments})]), 0, 1) after each update, "
        "from 0",
    )
    def discriminator(self, scores: Scores, balance: Tensor | float = 1.0) -> Tensor:
        """E_p[L] − k E_q[L]."""
        return -scores.real.mean() + balance * scores.fake.mean()

    @formula("E[L({fake.arguments})]")
    def generator(self, scores: Scores) -> Tensor:
        """E_q[L]."""
        return -scores.fake.mean()

    def imbalance(self, scores: Scores) -> Tensor:
        """γ E_p[L] − E_q[L], a scalar that the controller drives to zero."""
        return scores.fake.mean() - self.diversity * scores.real.mean()

    def next_balance(self, balance: Tensor, scores: Scores) -> Tensor:
        """The next k: k + λ_k (γ E_p[L] − E_q[L]), kept within [0, 1]."""
        return (balance + self.gain * self.imbalance(scores)).clamp(0, 1)

    def convergence(self, scores: Scores) -> Tensor:
        """E_p[L] + |γ E_p[L] − E_q[L]|, the paper's global measure M of convergence: lower is better."""
        return -scores.real.mean() + self.imbalance(scores).abs()
