"""Metrics: figures of how good samples are.

A metric is a function of samples (n, *shape), real data (n, *shape) and the dataset, which returns named floats.
"""

from gan_runner.metrics.modes import mode_coverage
from gan_runner.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = ["mode_coverage", "sliced_wasserstein"]
