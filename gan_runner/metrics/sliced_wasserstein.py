"""Sliced Wasserstein distance between samples and data."""

from __future__ import annotations

import torch

from gan_runner.metrics.base import Positive, equally_many, metric
from gan_runner.metrics.results import Results


@metric(sliced_wasserstein=min, counts=equally_many)
def sliced_wasserstein(results: Results, projections: Positive = 256) -> dict[str, float]:
    """Sliced W₁ (Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3): the mean W₁ of random projections.

    Directions are uniform on the sphere and the same every time. In one dimension, W₁ is the mean distance of sorted
    values. The result is in units of the data. The larger set is cut to the size of the smaller one.
    """
    n = min(len(results.samples), len(results.real))
    samples, real = results.samples[:n].flatten(1).double(), results.real[:n].flatten(1).double()
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(samples.shape[1], projections, generator=generator, dtype=torch.float64)
    directions = (directions / directions.norm(dim=0)).to(samples.device)
    distances = (samples @ directions).sort(0).values - (real @ directions).sort(0).values
    return {"sliced_wasserstein": distances.abs().mean().item()}
