"""Nearest neighbours; precision, recall, density and coverage."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.losses.kernels import squared_distances

ROUNDING = 1e-12
"""Relative tolerance of squared distances: smaller differences count as equal."""


def nearest(queries: Tensor, points: Tensor, k: int = 1, chunk: int = 256) -> tuple[Tensor, Tensor]:
    """Return the Euclidean distances and indices (n, k) of the k nearest points of each query, nearest first.

    Candidates are found by matrix products in float64. Distances are computed from differences, so a query that is one
    of the points has distance zero.

    Args:
        queries: (n, d).
        points: (m, d).
        k: number of neighbours, from 1 to m.
        chunk: queries per chunk; memory is chunk · m float64 numbers.

    Raises:
        ValueError: there are fewer than k points.
    """
    if not 1 <= k <= len(points):
        raise ValueError(
            f"k={k} must be from 1 to the number of points, {len(points)}; choose another k or more samples"
        )
    points, rows = points.double(), []
    for part in queries.split(chunk):
        part = part.double()
        indices = squared_distances(part, points).topk(k, largest=False).indices
        # One neighbour at a time: all at once would need memory for (chunk, k, d).
        exact = torch.stack([(part - points[index]).norm(dim=1) for index in indices.unbind(1)], 1)
        distances, order = exact.sort(1)
        rows.append((distances, indices.gather(1, order)))
    distances, indices = (torch.cat(parts) for parts in zip(*rows))
    return distances, indices


def squared_radii(x: Tensor, k: int, chunk: int) -> Tensor:
    """Return the squared distance of each point of x (n, d) to its k-th nearest neighbour, with tolerance: (n,)."""
    squared = nearest(x, x, k + 1, chunk)[0][:, k].square()  # the nearest point is the point itself or a copy
    return squared + ROUNDING * (squared + x.square().sum(1))


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int, chunk: int = 256) -> dict[str, float]:
    """Return precision, recall, density and coverage of fake features.

    The ball of a point reaches to its k-th nearest neighbour in its own set, inclusive. `precision` is the fraction of
    fakes in the ball of some real, `recall` the fraction of reals in the ball of some fake (Kynkäänniemi et al. 2019,
    arXiv:1904.06991, Eqs. 1–2, with k=3). `density` is the mean number of real balls that contain a fake, divided by k;
    `coverage` the fraction of reals whose ball contains a fake (Naeem et al. 2020, arXiv:2002.09797, Section 3, with
    k=5). A set compared with itself has the values 1, 1, (k + 1) / k and 1, if no distances are equal.

    Args:
        real: features (n, d).
        fake: features (m, d).
        k: number of neighbours, less than n and m.
        chunk: rows per chunk; memory is chunk · max(n, m) float64 numbers.

    Raises:
        ValueError: a set has fewer than k + 1 points.
    """
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"k={k} must be at least 1 and less than the number of samples, {len(real)} real and {len(fake)} "
            "generated; choose another k or more samples"
        )
    origin = real.double().mean(0)
    real, fake = real.double() - origin, fake.double() - origin
    real_radii, fake_radii = squared_radii(real, k, chunk), squared_radii(fake, k, chunk)
    containing, precise = 0.0, 0.0
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(recalled)
    for part, radii in zip(fake.split(chunk), fake_radii.split(chunk)):
        squared = squared_distances(part, real)
        in_real = squared <= real_radii
        containing += in_real.sum().item()
        precise += in_real.any(1).sum().item()
        covered |= in_real.any(0)
        recalled |= (squared <= radii.unsqueeze(1)).any(0)
    return {
        "precision": precise / len(fake),
        "recall": recalled.double().mean().item(),
        "density": containing / (k * len(fake)),
        "coverage": covered.double().mean().item(),
    }
