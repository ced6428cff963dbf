"""Kernel distance between two sets of features."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.losses.kernels import unbiased_from_grams


def cubic(x: Tensor, y: Tensor) -> Tensor:
    """Return the cubic kernel (xᵢᵀyⱼ / d + 1)³ of (n, d) and (m, d): (n, m)."""
    return (x @ y.T / x.shape[1] + 1).pow(3)


def size_of_subsets(n: int, m: int, most: int) -> int:
    """Return the number of features in each subset of n and of m features."""
    return min(n, m, most)


def kernel_distance(
    x: Tensor, y: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return mean and standard deviation over random subsets of the unbiased MMD² with the cubic kernel (KID: Bińkowski
    et al. 2018, arXiv:1801.01401, Section 4).

    The estimate is unbiased for any size of the subsets, so it may be negative. The standard deviation is that of one
    subset, not of the mean.

    Args:
        x: features (n, d).
        y: features (m, d).
        subsets: number of subsets, each drawn without replacement.
        subset_size: maximal size of a subset, limited by n and m.
        seed: seed of the subsets, which are the same on every device.

    Raises:
        ValueError: a subset would have fewer than two features, or there are no subsets.
    """
    size = size_of_subsets(len(x), len(y), subset_size)
    if size < 2 or subsets < 1:
        raise ValueError(f"it needs at least one subset of two samples, not {subsets} of {size}; increase them")
    rng = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        a = x[torch.randperm(len(x), generator=rng)[:size].to(x.device)].double()
        b = y[torch.randperm(len(y), generator=rng)[:size].to(y.device)].double()
        values.append(unbiased_from_grams(cubic(a, a), cubic(b, b), cubic(a, b)))
    drawn = torch.stack(values)
    return drawn.mean().item(), drawn.std(correction=0).item()
