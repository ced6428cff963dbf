"""Constraints: what happens to a player's networks after each of its updates."""

from gan_runner.constraints.ema import EMA
from gan_runner.constraints.noise_annealing import NoiseAnnealing
from gan_runner.constraints.weight_clipping import WeightClipping

__all__ = ["EMA", "NoiseAnnealing", "WeightClipping"]
