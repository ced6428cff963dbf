"""Gaussian noise between layers."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula
from gan_runner.tools.scheduled import Schedule, scheduled, times, value_of


@formula("h + {std} ε, ε ~ N(0, I)")
class GaussianNoise(nn.Module):
    """x + σ ε with ε ~ N(0, I) in training mode, x in evaluation mode: (n, …) → the same shape.

    Args:
        std: σ in the units of x, or its schedule over training steps.

    Raises:
        ValueError: σ is negative.
    """

    def __init__(self, std: float | Schedule):
        super().__init__()
        self.std = scheduled(std)
        if value_of(self.std) < 0:
            raise ValueError(f"the standard deviation of noise must be 0 or more, not {std}")

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        if not self.training or self.std == 0:
            return x
        return x + times(self.std, per_sample.randn(*x.shape, device=x.device, dtype=x.dtype))

    def extra_repr(self) -> str:
        """The text in a printed network."""
        return f"std={self.std:g}"
