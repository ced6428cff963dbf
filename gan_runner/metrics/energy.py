"""Metrics of energy-based GANs: EBGAN's total variation against the truth, and BEGAN's balance and convergence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import HasDensity
from gan_runner.losses.energy import BEGAN, EBGAN
from gan_runner.metrics.base import metric
from gan_runner.metrics.results import GivenScores, Results
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_planar_densities(system: System) -> None:
    """Require known densities of data and samples in two dimensions."""
    known = isinstance(system.dataset, HasDensity) and isinstance(system.networks.get("generator"), HasDensity)
    if not known or system.dataset.shape != (2,):
        raise ValueError("the densities of data and samples are not known; choose dataset=gaussian model=gaussian")


def needs_loss(kind: type) -> Requirement:
    """Return the requirement that the loss is of this type."""

    def check(system: System) -> None:
        if not isinstance(system.loss, kind):
            raise ValueError(
                f"it needs the loss {kind.__name__}, and this loss is {type(system.loss).__name__}; leave it out"
            )

    return check


def plane(results: Results, side: int) -> tuple[Tensor, float]:
    """Return a grid (side², 2) that covers all samples and data with a margin, and the area of its cells."""
    points = torch.cat([results.real, results.samples])
    low, high = points.amin(0), points.amax(0)
    margin = (high - low) / 4
    axes = [torch.linspace(a, b, side) for a, b in zip(low - margin, high + margin, strict=True)]
    return torch.cartesian_prod(*axes).to(points), float(((high - low + 2 * margin) / (side - 1)).prod())


@metric(total_variation_gap=min, requires=(needs_planar_densities, needs_loss(EBGAN)))
@torch.no_grad()
def total_variation(results: Results, side: int = 200) -> dict[str, float]:
    """Error of EBGAN's estimate of the total variation between data and samples, against its value by quadrature.

    This is |1 − L_D / m − TV|, where L_D is the discriminator's loss on data and samples and m the margin.

    Args:
        results: results with known densities.
        side: quadrature points along each axis.
    """
    assert isinstance(results.dataset, HasDensity)
    points, area = plane(results, side)
    p = results.dataset.log_prob(points).exp()
    q = results.system.networks["generator"].log_prob(points).exp()  # type: ignore[operator]
    truth = (p - q).abs().sum() * area / 2
    estimate = results.loss.total_variation(GivenScores(results.real_scores, results.fake_scores))
    return {"total_variation_gap": (estimate - truth).abs().item()}


@metric(balance_gap=min, convergence=min, requires=(needs_loss(BEGAN),))
def equilibrium(results: Results) -> dict[str, float]:
    """|E[L(G(z))] / E[L(x)] − γ|, and BEGAN's convergence measure M (Berthelot et al. 2017, Eq. 5, Section 3.4.1)."""
    scores = GivenScores(results.real_scores, results.fake_scores)
    ratio = scores.fake.mean() / scores.real.mean()
    return {
        "balance_gap": (ratio - results.loss.diversity).abs().item(),
        "convergence": results.loss.convergence(scores).item(),
    }
