"""Density-ratio estimators as discriminators (Sugiyama et al. 2012, doi:10.1007/s10463-011-0343-8).

Fitting a ratio r to p/q by the Bregman divergence of f minimises E_q[r f′(r) − f(r)] − E_p[f′(r)], which is minus the
variational bound of D_f with T = f′(r) (Mohamed & Lakshminarayanan 2016, arXiv:1610.03483, Section 3.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gan_runner.losses.base import Identifies, Scores
from gan_runner.losses.f_divergences import FDivergence
from gan_runner.tools.formulas import formula


@dataclass(frozen=True)
class LSIF(FDivergence):
    """Least-squares importance fitting (Kanamori et al. 2009, JMLR 10): f(u) = ½ (u − 1)².

    The ratio is r = softplus(s), which is positive.
    """

    @formula("½ ({r} − 1)²")
    def f(self, log_ratio: Tensor) -> Tensor:
        """½ (r − 1)²."""
        return log_ratio.expm1().square() / 2

    @formula("softplus({s}) − 1")
    def witness(self, score: Tensor) -> Tensor:
        """r − 1."""
        return softplus(score) - 1

    @formula("½ (softplus({s})² − 1)")
    def conjugate(self, score: Tensor) -> Tensor:
        """½ (r² − 1)."""
        return (softplus(score).square() - 1) / 2

    @formula("log softplus({s})")
    def log_ratio(self, score: Tensor) -> Tensor:
        """log softplus(s)."""
        return softplus(score).log()

    @formula("log(exp(exp({r})) − 1)")
    def optimal_score(self, log_ratio: Tensor) -> Tensor:
        """log(exp(r) − 1)."""
        ratio = log_ratio.exp()
        return ratio + (-(-ratio).expm1()).log()


@dataclass(frozen=True)
class KLIEP:
    """KL importance estimation (Sugiyama et al. 2008, doi:10.1007/s10463-008-0197-x).

    It maximises E_p[log r] over ratios r = exp(s) / E_q[exp(s)], whose mean under q is one, as that of p/q is. The
    value is Donsker and Varadhan's bound of KL(p‖q). A constant added to all scores changes nothing.
    """

    identifies: ClassVar[Identifies] = "relative"

    @formula("log E[exp {fake}] − E[{real}]")
    def discriminator(self, scores: Scores) -> Tensor:
        """log E_q[exp(s)] − E_p[s]: minus the bound."""
        return log_mean_exp(scores.fake) - scores.real.mean()

    @formula("−log E[exp {fake}]")
    def generator(self, scores: Scores) -> Tensor:
        """−log E_q[exp(s)]: the part of the bound that depends on the generator."""
        return -log_mean_exp(scores.fake)

    def log_ratio(self, score: Tensor) -> Tensor:
        """The score, up to a constant."""
        return score


def log_mean_exp(score: Tensor) -> Tensor:
    """log mean exp(s) of scores (n,), without overflow."""
    return torch.logsumexp(score, 0) - math.log(len(score))
