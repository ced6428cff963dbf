"""Minibatch discrimination: similarity between the samples of a batch as features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_gather
from gan_runner.models.sizes import at_least_one
from gan_runner.tools.formulas import formula
from gan_runner.tools.precision import full_precision


@formula("[f, o], o(xᵢ)_b = Σ_{{j≠i}} exp(−‖Mᵢ_b − Mⱼ_b‖₁), M = f T, {kernels} kernels of {kernel_dim} dimensions")
class MinibatchDiscrimination(nn.Module):
    """Append to the features of each sample its similarity to the others: (n, in_features) → (n, out_features).

    The similarity is o(x_i)_b = Σ_{j≠i} c_b(x_i, x_j) with c_b(x_i, x_j) = exp(−‖M_{i,b} − M_{j,b}‖₁) and
    M_i = f(x_i) T in R^{B×C} (Salimans et al. 2016, arXiv:1606.03498, Section 3.2). The paper sums over all j. The term
    j = i is always one and left out, since the bias of the next layer absorbs it.

    Args:
        in_features: A, the number of features.
        kernels: B, the number of similarities appended.
        kernel_dim: C, the dimension of each kernel's projection.
    """

    def __init__(self, in_features: int, kernels: int = 100, kernel_dim: int = 5):
        super().__init__()
        at_least_one(kernels=kernels, kernel_dim=kernel_dim)
        self.out_features = in_features + kernels
        self.kernels = kernels
        self.kernel_dim = kernel_dim
        self.projection = nn.Parameter(torch.randn(in_features, kernels * kernel_dim) / in_features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """The features with o(x) appended."""
        return torch.cat([features, self.similarity(features)], 1)

    def similarity(self, features: Tensor) -> Tensor:
        """The similarities o(x): (n, kernels)."""
        with full_precision(features):
            flat = features.to(self.projection.dtype) @ self.projection
        projected = flat.unflatten(1, (-1, self.kernel_dim))  # (n, B, C)
        distances = (all_gather(projected).unsqueeze(0) - projected.unsqueeze(1)).abs().sum(3)  # (n, global batch, B)
        return (-distances).exp().sum(1) - 1
