"""Losses: what both players descend, as functions of the scores; and what an optimal critic's score means.

A loss is a frozen dataclass with `discriminator(scores)` and `generator(scores)`. It reads `scores.real` and
`scores.fake`, (n,) each, and what it does not read is not computed. `identifies` says what an optimal
discriminator of this loss knows of the densities p of the data and q of the fakes:

- `ratio`: `log_ratio(score)` is log p/q, and `optimal_score` its inverse;
- `relative`: `log_ratio(score)` is log p/q up to a constant, which E_q[p/q] = 1 fixes;
- `order`: where the score is greater, so is p/q;
- `sign`: `sign(score)` says which density is larger;
- `potential`: differences of scores bound a distance between p and q.
"""

from gan_runner.losses.base import Evaluated, FakeScores, Identifies, Loss, RatioLoss, Scores, generator_slope
from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.losses.decoupled import Decoupled
from gan_runner.losses.density_ratios import KLIEP, LSIF
from gan_runner.losses.energy import BEGAN, EBGAN
from gan_runner.losses.f_divergences import (
    KL,
    Alpha,
    FDivergence,
    GANDivergence,
    Hellinger,
    JensenShannon,
    Neyman,
    Pearson,
    ReverseKL,
    TotalVariation,
    WeightedJensenShannon,
)
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.moments import MMD
from gan_runner.losses.relativistic import Relativistic, RelativisticAverage
from gan_runner.losses.scoring_rules import Exponential, Misclassification, Spherical
from gan_runner.losses.wasserstein import Wasserstein

__all__ = [
    "BEGAN",
    "EBGAN",
    "KL",
    "KLIEP",
    "LSIF",
    "MMD",
    "Alpha",
    "Decoupled",
    "Evaluated",
    "Exponential",
    "FDivergence",
    "FakeScores",
    "GANDivergence",
    "Hellinger",
    "Hinge",
    "Identifies",
    "JensenShannon",
    "LeastSquares",
    "Loss",
    "Minimax",
    "Misclassification",
    "Neyman",
    "NonSaturating",
    "Pearson",
    "RatioLoss",
    "Relativistic",
    "RelativisticAverage",
    "ReverseKL",
    "Scores",
    "Spherical",
    "TotalVariation",
    "Wasserstein",
    "WeightedJensenShannon",
    "generator_slope",
]
