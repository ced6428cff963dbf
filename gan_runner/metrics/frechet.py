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
    """Moments of all chunks (nᵢ, d) together, of which only one at a time is held.

    Means are taken off within each chunk before anything is squared, and chunks joined by the difference of their means
    (Chan, Golub & LeVeque 1983, American Statistician 37(3)), so a large common mean costs no digits.

    Raises:
        ValueError: there are fewer than two features.
    """
    n, mean, scatter = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        x = chunk.double()
        own_mean, together = x.mean(0), n + len(x)
        centred, shift = x - own_mean, own_mean - mean
        scatter = scatter + centred.T @ centred + torch.outer(shift, shift) * (n * len(x) / together)
        mean = mean + shift * (len(x) / together)
        n = together
    if n < 2:
        raise ValueError(f"a covariance needs at least two samples, not {n}; choose more")
    return Moments(mean, scatter / (n - 1), n)


def factor(covariance: Tensor) -> Tensor:
    """F (d, rank) with F Fᵀ the covariance (d, d); eigenvalues that are zero but for rounding are left out."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def frechet_distance(a: Moments, b: Moments) -> float:
    """‖μ_a − μ_b‖² + tr(A + B − 2 (A B)^½), squared units of the features (Dowson & Landau 1982; as FID Heusel et al.
    2017, arXiv:1706.08500, Eq. 6).

    tr (A B)^½ is the sum of the roots of the eigenvalues of A^½ B A^½, which is that of the singular values of F_aᵀ F_b
    where A = F_a F_aᵀ, B = F_b F_bᵀ: a root of an eigenvalue would turn rounding of 1e-16 into 1e-8.
    """
    mean, covariance = b.mean.to(a.mean), b.covariance.to(a.mean)
    overlap = torch.linalg.svdvals(factor(a.covariance).T @ factor(covariance)).sum()
    distance = (a.mean - mean).square().sum() + a.covariance.trace() + covariance.trace() - 2 * overlap
    return max(distance.item(), 0.0)
