"""Nearest neighbours, and how well two sets cover each other by balls around their points."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.losses.kernels import squared_distances

ROUNDING = 1e-12
"""Squared distances that differ by less, as a share of the squared norms they are computed from, count as equal."""


def nearest(queries: Tensor, points: Tensor, k: int = 1, chunk: int = 256) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query: Euclidean distances and indices, both (n, k), nearest first.

    Candidates are found by products in float64; the distances returned are of the differences themselves, so a query
    that is one of the points is at distance zero.

    Args:
        queries: (n, d).
        points: (m, d).
        k: how many, from 1 to m.
        chunk: queries looked at together; chunk · m float64 numbers are held.

    Raises:
        ValueError: there are fewer than k points.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"there are {len(points)} points to be nearest, not k={k}; choose a smaller k or more samples")
    points, rows = points.double(), []
    for part in queries.split(chunk):
        part = part.double()
        indices = squared_distances(part, points).topk(k, largest=False).indices
        # One neighbour at a time: all at once would hold (chunk, k, d).
        exact = torch.stack([(part - points[index]).norm(dim=1) for index in indices.unbind(1)], 1)
        distances, order = exact.sort(1)
        rows.append((distances, indices.gather(1, order)))
    distances, indices = (torch.cat(parts) for parts in zip(*rows))
    return distances, indices


def squared_radii(x: Tensor, k: int, chunk: int) -> Tensor:
    """Squared distance of each of x (n, d) to its k-th nearest other, with room for rounding: (n,)."""
    squared = nearest(x, x, k + 1, chunk)[0][:, k].square()  # the nearest is itself, or its equal
    return squared + ROUNDING * (squared + x.square().sum(1))


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int, chunk: int = 256) -> dict[str, float]:
    """How real and fake features cover each other, by balls around each that reach to its k-th nearest of its own set.

    `precision` is the share of fakes within some real's ball, `recall` the share of reals within some fake's
    (Kynkäänniemi et al. 2019, arXiv:1904.06991, Eqs. 1–2, with k=3). `density` is the number of reals' balls that
    hold a fake, on average over fakes and in multiples of k; `coverage` the share of reals whose ball holds a fake
    (Naeem et al. 2020, arXiv:2002.09797, Section 3, with k=5). A ball holds its rim. For a set against itself they
    are 1, 1, (k + 1) / k and 1, if no distances are equal.

    Args:
        real: features (n, d).
        fake: features (m, d).
        k: neighbours to which a ball reaches, less than n and m.
        chunk: rows compared together; chunk · max(n, m) float64 numbers are held.

    Raises:
        ValueError: a set has no k others.
    """
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"each of {len(real)} real and {len(fake)} generated samples needs k={k} others; choose 1 or more, "
            "and more samples than that"
        )
    origin = real.double().mean(0)
    real, fake = real.double() - origin, fake.double() - origin
    real_radii, fake_radii = squared_radii(real, k, chunk), squared_radii(fake, k, chunk)
    held, precise = 0.0, 0.0
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(recalled)
    for part, radii in zip(fake.split(chunk), fake_radii.split(chunk)):
        squared = squared_distances(part, real)
        in_real = squared <= real_radii
        held += in_real.sum().item()
        precise += in_real.any(1).sum().item()
        covered |= in_real.any(0)
        recalled |= (squared <= radii.unsqueeze(1)).any(0)
    return {
        "precision": precise / len(fake),
        "recall": recalled.double().mean().item(),
        "density": held / (k * len(fake)),
        "coverage": covered.double().mean().item(),
    }
