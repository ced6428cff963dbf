"""Kernels, and the distance between two samples that they define: the maximum mean discrepancy.

MMD²(p, q) = E k(x, x′) − 2 E k(x, y) + E k(y, y′) with x, x′ ~ p and y, y′ ~ q (Gretton et al. 2012, JMLR 13, Lemma 6):
the squared distance of the mean embeddings of p and q in the Hilbert space of k. A kernel here is a frozen dataclass
that maps the squared distance of two points to k(x, y).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_runner.tools.formulas import formula
from gan_runner.tools.precision import full_precision


@runtime_checkable
class Kernel(Protocol):
    """A function that maps squared distances of any shape to values of k."""

    def __call__(self, squared: Tensor) -> Tensor:
        """k(x, y) where ‖x − y‖² is `squared`."""


def require_positive(name: str, values: tuple[float, ...]) -> None:
    """Raise ValueError if there are no values, or one of them is not a positive, finite number."""
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError(f"{name} must be positive numbers, at least one, not {list(values)}")


@formula("Σ exp(−‖a − b‖² / 2σ²), σ = {bandwidths}")
@dataclass(frozen=True)
class RBF:
    """A sum of Gaussians, Σ_σ exp(−‖x − y‖² / 2σ²) (Li et al. 2015, arXiv:1502.02761, Section 3, their code).

    Args:
        bandwidths: σ of each, in units of the data.
    """

    bandwidths: tuple[float, ...] = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)

    def __post_init__(self) -> None:
        require_positive("bandwidths", self.bandwidths)

    def __call__(self, squared: Tensor) -> Tensor:
        """k(x, y) where ‖x − y‖² is `squared`."""
        return torch.stack([(-squared / (2 * sigma**2)).exp() for sigma in self.bandwidths]).sum(0)

    def expected(self, mean: Tensor, variance: Tensor) -> Tensor:
        """E k(x, y), a scalar, where x − y ~ N(mean, diag variance), both (dim,).

        Σ_σ Πᵢ √(σ² / (σ² + vᵢ)) exp(−μᵢ² / 2(σ² + vᵢ)): an integral of a product of two Gaussians.
        """
        terms = []
        for sigma in self.bandwidths:
            spread = sigma**2 + variance
            terms.append(((sigma**2 / spread).log() / 2 - mean.square() / (2 * spread)).sum().exp())
        return torch.stack(terms).sum()


@formula("Σ (1 + ‖a − b‖² / 2α)^−α, α = {alphas}")
@dataclass(frozen=True)
class RationalQuadratic:
    """A sum over α of (1 + ‖x − y‖² / 2α)^−α (Bińkowski et al. 2018, arXiv:1801.01401, Section 2.3).

    Each is a mixture of Gaussians whose 1/σ² is drawn from a Gamma distribution of shape and rate α, so that its
    tails are those of a power, and its slope does not vanish far away.

    Args:
        alphas: of each; the paper's.
    """

    alphas: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)

    def __post_init__(self) -> None:
        require_positive("alphas", self.alphas)

    def __call__(self, squared: Tensor) -> Tensor:
        """k(x, y) where ‖x − y‖² is `squared`."""
        return torch.stack([(1 + squared / (2 * alpha)).pow(-alpha) for alpha in self.alphas]).sum(0)

    def expected(self, mean: Tensor, variance: Tensor, nodes: int = 100) -> Tensor:
        """E k(x, y), a scalar, where x − y ~ N(mean, diag variance), both (dim,).

        The integral over the mixture of Gaussians, by Gauss–Laguerre quadrature on so many nodes.
        """
        from scipy.special import roots_genlaguerre  # SciPy takes long to import, and few runs need it

        terms = []
        for alpha in self.alphas:
            precisions, weights = roots_genlaguerre(nodes, alpha - 1)
            for precision, weight in zip(precisions / alpha, weights / math.gamma(alpha)):
                terms.append(weight * RBF((precision**-0.5,)).expected(mean, variance))
        return torch.stack(terms).sum()


def in_units(kernel: Kernel, squared_unit: Tensor) -> Callable[[Tensor], Tensor]:
    """The kernel with distances measured in a unit whose square is given, a scalar on the device."""
    return lambda squared: kernel(squared / squared_unit)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖xᵢ − yⱼ‖²: (n, dim) and (m, dim) → (n, m). Origins far away cost digits, so the mean of y is taken off."""
    origin = y.mean(0, keepdim=True).detach()
    x, y = x - origin, y - origin
    with full_precision(x):
        return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)


def median_squared_distance(x: Tensor) -> Tensor:
    """The median over all pairs of ‖xᵢ − xⱼ‖², i < j, a scalar without a graph: (n, dim), n ≥ 2.

    The usual choice of a bandwidth (Gretton et al. 2012, Section 8). Nothing is fetched from the device.
    """
    x = x.detach()
    first, second = torch.triu_indices(len(x), len(x), 1, device=x.device).unbind()
    return squared_distances(x, x)[first, second].median().clamp(min=torch.finfo(x.dtype).tiny)


def unbiased_from_grams(among_x: Tensor, among_y: Tensor, across: Tensor) -> Tensor:
    """MMD² of kernel values among x (n, n), among y (m, m) and across (n, m), without the diagonals of the first two.

    Its expectation is MMD²(p, q), so it may be negative; n, m ≥ 2 (Gretton et al. 2012, Eq. 3).
    """
    n, m = across.shape
    within_x = (among_x.sum() - among_x.diagonal().sum()) / (n * (n - 1))
    within_y = (among_y.sum() - among_y.diagonal().sum()) / (m * (m - 1))
    return within_x + within_y - 2 * across.mean()


def unbiased_mmd2(kernel: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """MMD² of x (n, dim) and y (m, dim) without the pairs of a point with itself (Gretton et al. 2012, Eq. 3).

    Its expectation is MMD²(p, q), so it may be negative; n, m ≥ 2.
    """
    return unbiased_from_grams(
        kernel(squared_distances(x, x)), kernel(squared_distances(y, y)), kernel(squared_distances(x, y))
    )


def biased_mmd2(kernel: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """MMD² of the empirical distributions of x (n, dim) and y (m, dim): never negative (Gretton et al. 2012, Eq. 5)."""
    within = kernel(squared_distances(x, x)).mean() + kernel(squared_distances(y, y)).mean()
    return within - 2 * kernel(squared_distances(x, y)).mean()


def witness(kernel: Callable[[Tensor], Tensor], points: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """E k(x, ·) − E k(y, ·) at points (k, dim): (k,) (Gretton et al. 2012, Section 2.3).

    Up to its norm the function of norm one whose means under x and under y differ most.
    """
    return kernel(squared_distances(points, x)).mean(1) - kernel(squared_distances(points, y)).mean(1)
