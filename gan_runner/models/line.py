"""A generator with one parameter: the position of a line."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import LayerlessGenerator


class Line(LayerlessGenerator):
    """x = (θ, u) for a latent u: a vertical line at θ (Arjovsky et al. 2017, arXiv:1701.07875, Example 1).

    Args:
        latent_dim: length of u, 1.
        shape: shape of one sample, (2,).
        theta: initial θ.
        norm: must be `none`, since there are no hidden layers.
        weight_norm: must be `none`, since there are no layers.
        reference_size: not used.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        theta: float = 1.0,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
    ):
        super().__init__(norm, weight_norm, reference_size)
        if latent_dim != 1 or tuple(shape) != (2,):
            raise ValueError(
                f"a line needs one latent and samples of shape [2], not {latent_dim} latents and samples of shape "
                f"{list(shape)}; choose dataset=parallel_lines, or another model"
            )
        self.theta = nn.Parameter(torch.tensor(float(theta)))

    def forward(self, u: Tensor) -> Tensor:
        """Latents (n, 1) → points (n, 2)."""
        return torch.cat([self.theta.expand(len(u), 1), u], 1)
