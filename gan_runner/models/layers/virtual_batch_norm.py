"""Virtual batch normalisation: batch normalisation by a fixed reference batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.tools.formulas import formula


@formula("γ (h − m) / √(s² + {eps}) + β, m and s² of {reference_size} fixed samples and h")
class VirtualBatchNorm(nn.Module):
    """Normalise each sample by a fixed reference batch and itself: (reference_size + n, channels, …) → the same shape.

    The first `reference_size` rows of the input are the activations of the reference batch, which
    `gan_runner.models.networks.WithReference` puts there. They are normalised by their own mean and variance. Every
    other sample is normalised by those of the reference batch plus that sample, so that its output does not depend on
    the rest of its batch (Salimans et al. 2016, arXiv:1606.03498, Section 3.5).

    Args:
        channels: size of dimension 1; statistics are over the batch and all later dimensions.
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
        x = x.to(self.weight.dtype)
        inner = list(range(2, x.dim()))  # spatial dimensions, if there are any
        mean = x.mean(inner, keepdim=True) if inner else x  # of each sample: (r + n, c, 1, …)
        variance = x.var(inner, correction=0, keepdim=True) if inner else torch.zeros_like(x)
        own, other = mean[: self.reference_size], mean[self.reference_size :]
        own_variance, other_variance = variance[: self.reference_size], variance[self.reference_size :]
        # Law of total variance: the mean of the samples' variances plus the variance of their means.
        reference_mean = own.mean(0, keepdim=True)
        reference_variance = (own_variance + (own - reference_mean).square()).mean(0, keepdim=True)
        share = 1 / (self.reference_size + 1)
        joint_mean = reference_mean.lerp(other, share)
        between = share * (1 - share) * (other - reference_mean).square()
        joint_variance = reference_variance.lerp(other_variance, share) + between
        means = torch.cat([reference_mean.expand_as(own), joint_mean])
        variances = torch.cat([reference_variance.expand_as(own), joint_variance])
        shape = (1, -1, *[1] * len(inner))
        normalised = (x - means) * (variances + self.eps).rsqrt()
        return normalised * self.weight.view(shape) + self.bias.view(shape)
