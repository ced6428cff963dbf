"""The hinge loss: a discriminator with a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import relu

from gan_runner.losses.base import Identifies, Scores
from gan_runner.tools.formulas import formula


@dataclass(frozen=True)
class Hinge:
    """Hinge loss (Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, Eqs. 16 and 17).

    The optimal score is m · sign(p − q): it tells which density is larger and not by how much.
    """

    identifies: ClassVar[Identifies] = "sign"

    margin: float = 1.0

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"the margin of the hinge loss must be positive, not {self.margin}")

    @formula("E[max(0, {margin} − {real})] + E[max(0, {margin} + {fake})]")
    def discriminator(self, scores: Scores) -> Tensor:
        """E_p[max(0, m − D)] + E_q[max(0, m + D)]."""
        return relu(self.margin - scores.real).mean() + relu(self.margin + scores.fake).mean()

    @formula("−E[{fake}]")
    def generator(self, scores: Scores) -> Tensor:
        """−E_q[D]."""
        return -scores.fake.mean()

    @formula("{s}")
    def sign(self, score: Tensor) -> Tensor:
        """1 where p > q, −1 where p < q."""
        return score.sign()
