"""Fréchet distance between Gaussians fitted to two sets of features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of n features in float64; the covariance divides by n − 1."""

    mean: Tensor
    covariance: Tensor
    n: int


def moments(chunks: Iterable[Tensor]) -> Moments:
    """Compute the moments of all chunks (nᵢ, d), one chunk at a time.

    Each chunk is centred before it is squared, and chunks are merged by the difference of their means (Chan, Golub &
    LeVeque 1983, American Statistician 37(3)), so a large common mean does not cost precision.

    Raises:
        ValueError: there are fewer than two features.
    """
    n, mean, scatter = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        x = chunk.double()
        chunk_mean, total = x.mean(0), n + len(x)
        centred, shift = x - chunk_mean, chunk_mean - mean
        scatter = scatter + centred.T @ centred + torch.outer(shift, shift) * (n * len(x) / total)
        mean = mean + shift * (len(x) / total)
        n = total
    if n < 2:
        raise ValueError(f"a covariance needs at least two samples, not {n}; increase the number of samples")
    return Moments(mean, scatter / (n - 1), n)


def factor(covariance: Tensor) -> Tensor:
    """Return F (d, rank) with F Fᵀ = covariance (d, d), without eigenvalues that are zero up to rounding."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return ‖μ_a − μ_b‖² + tr(A + B − 2 (A B)^½), in squared units of the features (Dowson & Landau 1982; FID: Heusel
    et al. 2017, arXiv:1706.08500, Eq. 6).

    tr (A B)^½ is the sum of the singular values of F_aᵀ F_b, where A = F_a F_aᵀ and B = F_b F_bᵀ. Roots of eigenvalues
    of A^½ B A^½ would be less accurate, since they turn a rounding error of 1e-16 into 1e-8.
    """
    mean, covariance = b.mean.to(a.mean), b.covariance.to(a.mean)
    overlap = torch.linalg.svdvals(factor(a.covariance).T @ factor(covariance)).sum()
    distance = (a.mean - mean).square().sum() + a.covariance.trace() + covariance.trace() - 2 * overlap
    return max(distance.item(), 0.0)
