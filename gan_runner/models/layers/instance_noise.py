"""Instance noise: Gaussian noise on the input of a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula


@formula("D(· + σ ε) for data and fakes, ε ~ N(0, I), σ from {std}")
class InstanceNoise(nn.Module):
    """x + σ ε with ε ~ N(0, I): (n, *shape) → (n, *shape).

    Real and fake samples get noise of the same distribution, so that the supports of their densities overlap (Sønderby
    et al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862, Section 3). σ is a buffer, saved in
    checkpoints; `gan_runner.constraints.noise_annealing.NoiseAnnealing` lowers it.

    Args:
        shape: shape of one sample; not used.
        std: initial σ, in the units of the data.

    Raises:
        ValueError: σ is not positive.
    """

    sigma: Tensor

    def __init__(self, shape: tuple[int, ...], std: float = 0.1):
        super().__init__()
        if std <= 0:
            raise ValueError(f"the standard deviation of instance noise must be positive, not {std}")
        self.std = std
        self.register_buffer("sigma", torch.tensor(float(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.sigma * per_sample.randn(*x.shape, device=x.device, dtype=x.dtype)
