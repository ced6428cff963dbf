"""How far the samples' mean is from the data's."""

from __future__ import annotations

from torch import Tensor

from gan_runner.datasets import Dataset
from gan_runner.metrics.figures import figures


@figures(distance=min)
def distance(samples: Tensor, real: Tensor, dataset: Dataset) -> dict[str, float]:
    """‖mean of the samples − mean of the data‖₂, in units of the data.

    For a game on points, whose equilibrium is the mean of its data, this is the players' distance to it.
    """
    means = [x.flatten(1).double().mean(0) for x in (samples, real)]
    return {"distance": (means[0] - means[1]).norm().item()}
