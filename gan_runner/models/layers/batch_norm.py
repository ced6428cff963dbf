"""Batch normalisation by the statistics of the global batch, on any number of processes.

Unlike `torch.nn.SyncBatchNorm` it runs on CPUs and is twice differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_reduce_sum, global_batch, shards
from gan_runner.tools.formulas import formula

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Layers that normalise by statistics of the batch in training, and by running statistics in evaluation mode."""


@formula("γ (h − mean) / √(var + {eps}) + β, statistics of the batch")
class BatchNorm1d(nn.BatchNorm1d):
    """Batch norm of activations (n, channels)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        return normalise(self, input) if shards.count > 1 and self.training else super().forward(input)


@formula("γ (h − mean) / √(var + {eps}) + β, statistics of the batch")
class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm of activations (n, channels, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        return normalise(self, input) if shards.count > 1 and self.training else super().forward(input)


def normalise(norm: nn.BatchNorm1d | nn.BatchNorm2d, input: Tensor) -> Tensor:
    """Batch norm in training mode over the rows of all processes: (n, channels, …) → the same shape."""
    x = input.to(torch.promote_types(input.dtype, torch.float32))
    dims = [0, *range(2, x.dim())]
    shape = (1, -1, *[1] * (x.dim() - 2))
    count = global_batch(x.numel() // x.shape[1])
    mean = all_reduce_sum(x.sum(dims)) / count
    centred = x - mean.view(shape)
    variance = all_reduce_sum(centred.square().sum(dims)) / count
    if norm.track_running_stats:
        with torch.no_grad():
            norm.num_batches_tracked += 1  # type: ignore[operator, assignment]
            norm.running_mean.lerp_(mean, norm.momentum)  # type: ignore[union-attr, arg-type]
            norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)  # type: ignore[union-attr, arg-type]
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return (centred * scale.view(shape) + norm.bias.view(shape)).to(input.dtype)
