"""The Wasserstein GAN: the critic's difference of mean scores is a lower bound of W₁."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import formula


@dataclass(frozen=True)
class Wasserstein:
    """Wasserstein GAN (Arjovsky et al. 2017, arXiv:1701.07875, Eq. 2 and Algorithm 1).

    The critic must be Lipschitz: use weight clipping, a gradient penalty or spectral normalisation.
    """

    identifies: ClassVar[Identifies] = "potential"

    @formula("E[{fake}] − E[{real}]")
    def discriminator(self, scores: Scores) -> Tensor:
        """E_q[D] − E_p[D]: minus the estimate of W₁ (times the Lipschitz constant)."""
        return scores.fake.mean() - scores.real.mean()

    @formula("−E[{fake}]")
    def generator(self, scores: Scores) -> Tensor:
        """−E_q[D]."""
        return -scores.fake.mean()
