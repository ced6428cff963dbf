"""Relativistic losses (Jolicoeur-Martineau 2019, arXiv:1807.00734): is a real sample more real than a fake?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import formula


@dataclass(frozen=True)
class Relativistic:
    """RSGAN: every real sample is compared with one fake (Section 4.1). With r1 and r2 it is R3GAN's loss.

    The optimal difference of two scores is the difference of the log ratios; a constant added to all scores changes
    nothing.
    """

    identifies: ClassVar[Identifies] = "relative"

    @formula("−E[log σ({real} − {fake})]")
    def discriminator(self, scores: Scores) -> Tensor:
        """−E[log σ(D(x) − D(G(z)))]."""
        return softplus(scores.fake - scores.real).mean()

    @formula("−E[log σ({fake} − {real})]")
    def generator(self, scores: Scores) -> Tensor:
        """−E[log σ(D(G(z)) − D(x))]."""
        return softplus(scores.real - scores.fake).mean()

    def log_ratio(self, score: Tensor) -> Tensor:
        """The score, up to a constant."""
        return score


@dataclass(frozen=True)
class RelativisticAverage:
    """RaSGAN: every sample is compared with the mean score of the other kind (Section 4.3).

    With means c_p and c_q of the scores, A = E_p[σ(c_q − D)] and B = E_q[σ(D − c_p)], the optimum satisfies
    p/q = (σ(D − c_p) + A) / (σ(c_q − D) + B): the score grows with the ratio, and every ratio lies between A / (1 + B)
    and (1 + A) / B. So scores order the ratios; their values need A and B. An optimum exists only for bounded ratios:
    huge scores of the few samples with extreme ratios move c_p and c_q at little cost, so without bounds the infimum of
    the loss is zero, however close p and q are.
    """

    identifies: ClassVar[Identifies] = "order"

    @formula("−E[log σ({real} − E[{fake}])] − E[log(1 − σ({fake} − E[{real}]))]")
    def discriminator(self, scores: Scores) -> Tensor:
        """−E_p[log σ(D − E_q[D])] − E_q[log(1 − σ(D − E_p[D]))]."""
        return softplus(scores.fake.mean() - scores.real).mean() + softplus(scores.fake - scores.real.mean()).mean()

    @formula("−E[log σ({fake} − E[{real}])] − E[log(1 − σ({real} − E[{fake}]))]")
    def generator(self, scores: Scores) -> Tensor:
        """−E_q[log σ(D − E_p[D])] − E_p[log(1 − σ(D − E_q[D]))]."""
        return softplus(scores.real.mean() - scores.fake).mean() + softplus(scores.real - scores.fake.mean()).mean()
