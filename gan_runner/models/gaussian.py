"""A generator with a known density, for comparisons of estimates with exact values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import LayerlessGenerator, elements


class Gaussian(LayerlessGenerator):
    """x = μ + σ ⊙ z with learnable μ and log σ: for z ~ N(0, I), x ~ N(μ, diag σ²).

    Args:
        latent_dim: length of z, the number of elements of a sample.
        shape: shape of one sample.
        mean: initial μ, one number for each element; None for zeros.
        std: initial σ of every element.
        bounded: whether samples are images of bytes, which are dequantised before their density is computed.
        norm: must be `none`, since there are no hidden layers.
        weight_norm: must be `none`, since there are no layers.
        reference_size: not used.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        mean: tuple[float, ...] | None = None,
        std: float = 1.0,
        bounded: bool = False,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
    ):
        super().__init__(norm, weight_norm, reference_size)
        dim = elements(shape)
        if latent_dim != dim:
            raise ValueError(
                f"a Gaussian needs one latent for each element of a sample: set model.latent.dim={dim}, "
                f"not {latent_dim}, or choose another model"
            )
        if mean is not None and len(mean) != dim:
            raise ValueError(f"mean must have {dim} elements like a sample, not {len(mean)}")
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, not {std}")
        self.shape = tuple(shape)
        self.bounded = bounded
        self.mean = nn.Parameter(torch.tensor([0.0] * dim if mean is None else [float(m) for m in mean]))
        self.log_std = nn.Parameter(torch.full((dim,), math.log(std)))

    def forward(self, z: Tensor) -> Tensor:
        """Latents (n, latent_dim) → data (n, *shape)."""
        return (self.mean + self.log_std.exp() * z).view(-1, *self.shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) of points (n, *shape), in nats, for latents N(0, I)."""
        z = (x.flatten(1) - self.mean) / self.log_std.exp()
        return -(z.square() / 2 + self.log_std + math.log(2 * math.pi) / 2).sum(1)
