"""Energy-based games: the critic is an autoencoder, whose score is minus its reconstruction error, the energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import relu

from gan_runner.losses.base import Identifies, Scores


@dataclass(frozen=True)
class EBGAN:
    """Energy-based GAN with energy E = −score ≥ 0 (Zhao et al. 2017, arXiv:1609.03126, Eqs. 1 and 2).

    The optimal energy is 0 where p > q and m where q > p (Lemma 1 and Theorem 1), so it tells which density is
    larger and not by how much, as the hinge does.

    Args:
        margin: m, up to which the energy of fakes is raised.
    """

    identifies: ClassVar[Identifies] = "sign"

    margin: float = 1.0

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"the margin of the energies must be positive, not {self.margin}")

    def discriminator(self, scores: Scores) -> Tensor:
        """E_p[E] + E_q[max(0, m − E)]: at its optimum m (1 − TV(p, q))."""
        return -scores.real.mean() + relu(self.margin + scores.fake).mean()

    def generator(self, scores: Scores) -> Tensor:
        """E_q[E]."""
        return -scores.fake.mean()

    def sign(self, score: Tensor) -> Tensor:
        """1 where the energy is below half the margin, so p > q; −1 where it is above."""
        return torch.sign(score + self.margin / 2)

    def total_variation(self, scores: Scores) -> Tensor:
        """What the discriminator makes of TV(p, q): 1 − its cost / m, from below in expectation."""
        return 1 - self.discriminator(scores) / self.margin


@dataclass(frozen=True)
class BEGAN:
    """Boundary equilibrium GAN with energy L = −score ≥ 0 (Berthelot et al. 2017, arXiv:1703.10717, Section 3.4).

    The difference of the two mean energies bounds the Wasserstein distance of their distributions from below
    (Section 3.2). The balance k, between 0 and 1, is a proportional controller's: `terms.BoundaryEquilibrium`
    remembers it.

    Args:
        diversity: γ = E[L(G(z))] / E[L(x)] that is aimed at (Eq. 5).
        gain: λ_k, by which k follows.
    """

    identifies: ClassVar[Identifies] = "potential"

    diversity: float = 0.5
    gain: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.diversity <= 1:
            raise ValueError(f"diversity is a ratio above 0 and up to 1, not {self.diversity}")
        if not self.gain > 0:
            raise ValueError(f"the controller's gain must be positive, not {self.gain}")

    def discriminator(self, scores: Scores, balance: Tensor | float = 1.0) -> Tensor:
        """E_p[L] − k E_q[L]."""
        return -scores.real.mean() + balance * scores.fake.mean()

    def generator(self, scores: Scores) -> Tensor:
        """E_q[L]."""
        return -scores.fake.mean()

    def imbalance(self, scores: Scores) -> Tensor:
        """γ E_p[L] − E_q[L], a scalar, which the controller drives to zero."""
        return scores.fake.mean() - self.diversity * scores.real.mean()

    def next_balance(self, balance: Tensor, scores: Scores) -> Tensor:
        """The next k: k + λ_k (γ E_p[L] − E_q[L]), kept within [0, 1]."""
        return (balance + self.gain * self.imbalance(scores)).clamp(0, 1)

    def convergence(self, scores: Scores) -> Tensor:
        """E_p[L] + |γ E_p[L] − E_q[L]|, the paper's measure M of how far the game is: less is better."""
        return -scores.real.mean() + self.imbalance(scores).abs()
