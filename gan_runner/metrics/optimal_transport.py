"""Exact optimal transport between samples and data."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from gan_runner.metrics.base import Positive, at_most, metric
from gan_runner.metrics.results import Results

MAX_ITERATIONS = 10_000_000
"""Limit of iterations of the network simplex. POT's own, 100,000, is too few for 4,000 points."""


def match_optimally(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return two sets (n, dim) of equal size, reordered so that the optimal transport of W₁ pairs their rows.

    Raises:
        ValueError: the optimum was not found in `MAX_ITERATIONS`.
    """
    import ot  # slow to import, and few runs need it

    costs = torch.cdist(x.double(), y.double()).cpu().numpy()
    with warnings.catch_warnings():  # the same is in `log`
        warnings.filterwarnings("ignore", "numItermax reached")
        plan, log = ot.emd([], [], costs, numItermax=MAX_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise ValueError(
            f"the optimal transport of {len(x):,} points was not found in {MAX_ITERATIONS:,} iterations, so no exact "
            "distance is known; set a smaller n, such as 1000"
        )
    # the plan is a permutation matrix times 1/n (Birkhoff's theorem)
    return x, y[torch.as_tensor(plan.argmax(1), device=y.device)]


@metric(wasserstein=min, counts=at_most("n"))
def optimal_transport(results: Results, n: Positive = 1000) -> dict[str, float]:
    """Exact W₁ between n samples and n real samples, as an assignment (Peyré & Cuturi 2019, arXiv:1803.00567, Ch. 2).

    It is in units of the data. Two finite sets of samples of the same density have a positive distance.
    """
    n = min(n, len(results.samples), len(results.real))
    x, y = match_optimally(results.real[:n].flatten(1), results.samples[:n].flatten(1))
    return {"wasserstein": (x - y).norm(dim=1).mean().item()}
