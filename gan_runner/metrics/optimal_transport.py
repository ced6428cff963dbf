"""Exact optimal transport between samples and data."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.metrics.base import at_most, metric
from gan_runner.metrics.results import Results


def match_optimally(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return two sets (n, dim) of equal size, reordered so that the optimal transport of W₁ pairs their rows."""
    import ot  # slow to import, and few runs need it

    costs = torch.cdist(x.double(), y.double()).cpu().numpy()
    plan = ot.emd([], [], costs)  # a permutation matrix times 1/n (Birkhoff's theorem)
    return x, y[torch.as_tensor(plan.argmax(1), device=y.device)]


@metric(wasserstein=min, counts=at_most("n"))
def optimal_transport(results: Results, n: int = 1000) -> dict[str, float]:
    """Exact W₁ between n samples and n real samples, as an assignment (Peyré & Cuturi 2019, arXiv:1803.00567, Ch. 2).

    It is in units of the data. Two finite sets of samples of the same density have a positive distance.
    """
    n = min(n, len(results.samples), len(results.real))
    x, y = match_optimally(results.real[:n].flatten(1), results.samples[:n].flatten(1))
    return {"wasserstein": (x - y).norm(dim=1).mean().item()}
