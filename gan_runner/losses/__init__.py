"""Losses: what both players descend, as functions of the scores; and what an optimal critic's score means.

A loss is a frozen dataclass with `discriminator(scores)` and `generator(scores)`. It reads `scores.real` and
`scores.fake`, (n,) each, and what it does not read is not computed. `identifies` says what an optimal
discriminator of this loss knows: the density `ratio` (then `log_ratio` gives it), only its `sign` (which
density is larger), or a `potential` whose differences bound a distance.
"""

from gan_runner.losses.base import Identifies, Loss, Scores
from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.losses.energy import BEGAN, EBGAN
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.moments import MMD
from gan_runner.losses.wasserstein import Wasserstein

__all__ = [
    "BEGAN",
    "EBGAN",
    "MMD",
    "Hinge",
    "Identifies",
    "LeastSquares",
    "Loss",
    "Minimax",
    "NonSaturating",
    "Scores",
    "Wasserstein",
]
