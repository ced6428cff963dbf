"""Metrics: figures of how good samples are.

A metric is a function of samples (n, *shape), real data (n, *shape) and the dataset, which returns named
floats. With `figures` it says for each of them whether less (`min`) or more (`max`) is better.
"""

from gan_runner.metrics.distance import distance
from gan_runner.metrics.figures import best_of, figures
from gan_runner.metrics.modes import mode_coverage
from gan_runner.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = ["best_of", "distance", "figures", "mode_coverage", "sliced_wasserstein"]
