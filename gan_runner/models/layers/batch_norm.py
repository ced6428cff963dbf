"""Batch normalisation by the statistics of the global batch, however many processes share it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_runner.distributed.sharding import all_reduce_sum, global_batch, shards


class _Sharded(_BatchNorm):
    """torch's batch norm, and the same over processes: (n, channels, …) → the same shape.

    Unlike `torch.nn.SyncBatchNorm` it works on CPUs, and can be differentiated twice.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        if shards.count == 1 or not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        dims = [0, *range(2, x.dim())]
        shape = (1, -1, *[1] * (x.dim() - 2))
        count = global_batch(x.numel() // x.shape[1])
        mean = all_reduce_sum(x.sum(dims)) / count
        centred = x - mean.view(shape)
        variance = all_reduce_sum(centred.square().sum(dims)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)


class BatchNorm1d(_Sharded, nn.BatchNorm1d):
    """Of activations (n, channels)."""


class BatchNorm2d(_Sharded, nn.BatchNorm2d):
    """Of activations (n, channels, h, w)."""
