"""Exact optimal transport between samples and data."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.metrics.base import metric
from gan_runner.metrics.results import Results


def matched(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two sets (n, dim) of equally many points, in the order in which optimal transport by W₁ pairs them."""
    import ot  # it takes long to import, and few runs need it

    costs = torch.cdist(x.double(), y.double()).cpu().numpy()
    plan = ot.emd([], [], costs)  # 1/n of a permutation: a vertex of the doubly stochastic matrices (Birkhoff)
    return x, y[torch.as_tensor(plan.argmax(1), device=y.device)]


@metric(wasserstein=min)
def optimal_transport(results: Results, n: int = 1000) -> dict[str, float]:
    """Exact W₁ between n samples and n of the data, as an assignment (Peyré & Cuturi 2019, arXiv:1803.00567, Ch. 2).

    In units of the data. Two draws of one density are not at distance zero: the finite sample costs something.
    """
    n = min(n, len(results.samples), len(results.real))
    x, y = matched(results.real[:n].flatten(1), results.samples[:n].flatten(1))
    return {"wasserstein": (x - y).norm(dim=1).mean().item()}
