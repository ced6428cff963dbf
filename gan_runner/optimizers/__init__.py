"""Optimizers for games, beside those of torch: negative momentum, and optimism."""

from gan_runner.optimizers.optimistic import GradientDescent, OptimisticAdam

__all__ = ["GradientDescent", "OptimisticAdam"]
