"""Batch normalisation by a fixed reference batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VirtualBatchNorm(nn.Module):
    """Normalises each sample by a fixed reference batch and itself (Salimans et al. 2016, arXiv:1606.03498, Section 3.5).

    The input's first `reference_size` rows are the reference batch on its way through the network
    (`gan_runner.models.networks.WithReference` puts it there). They are normalised by their own statistics; every
    other sample by mean and second moment of the reference batch with that one sample added, so that its output
    does not depend on its batch-mates. (reference_size + n, channels, …) → the same shape.

    Args:
        channels: size of dimension 1; statistics run over the batch and all later dimensions.
        reference_size: rows of the reference batch.
        eps: added to the variance.
    """

    def __init__(self, channels: int, reference_size: int, eps: float = 1e-5):
        super().__init__()
        self.reference_size = reference_size
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        inner = list(range(2, x.dim()))  # spatial dimensions, if there are any
        mean = x.mean(inner, keepdim=True) if inner else x  # of each sample: (r + n, c, 1, …)
        square = x.square().mean(inner, keepdim=True) if inner else x.square()
        size = self.reference_size
        reference_mean = mean[:size].mean(0, keepdim=True)
        reference_square = square[:size].mean(0, keepdim=True)
        share = 1 / (size + 1)
        means = torch.cat(
            [reference_mean.expand_as(mean[:size]), reference_mean.lerp(mean[size:], share)]
        )
        squares = torch.cat(
            [reference_square.expand_as(square[:size]), reference_square.lerp(square[size:], share)]
        )
        scale = (squares - means.square()).clamp(min=0).add(self.eps).rsqrt()
        shape = (1, -1, *[1] * len(inner))
        return (x - means) * scale * self.weight.view(shape) + self.bias.view(shape)
