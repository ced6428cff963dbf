"""Distance between the means of samples and data."""

from __future__ import annotations

from gan_runner.metrics.base import metric
from gan_runner.metrics.results import Results


@metric(distance=min)
def distance(results: Results) -> dict[str, float]:
    """‖mean of the samples − mean of the data‖₂, in units of the data.

    In a bilinear game, whose equilibrium is the mean of its data, this is the players' distance to the equilibrium.
    """
    means = [x.flatten(1).double().mean(0) for x in (results.samples, results.real)]
    return {"distance": (means[0] - means[1]).norm().item()}
