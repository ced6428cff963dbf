"""Layers that take a condition beside their input: labels, attributes, or the embedding of a sentence."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gan_runner.models.layers.batch_norm import BatchNorm1d, BatchNorm2d
from gan_runner.tools.formulas import formula


class Conditioned(nn.Module):
    """A layer whose `forward` takes a condition (n, condition_dim), or None, as its second argument.

    Attributes:
        needs_condition: whether a head cannot score without a condition.
    """

    needs_condition: ClassVar[bool] = True


class Chain(nn.Sequential, Conditioned):
    """A sequence of layers. Those that are `Conditioned` also get the condition."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The output of the last layer."""
        for layer in self:
            x = layer(x, condition) if isinstance(layer, Conditioned) else layer(x)
        return x


@formula("V {condition}")
class ConditionMap(nn.Module):
    """A linear map of conditions (n, condition_dim) → (n, channels), without bias; initial weights are N(0, 0.02²).

    It is no `nn.Linear`, because networks initialise and reparametrise their linear layers. Its outputs are gains and
    biases of a normalisation, which stay near 1 and 0 at the start, whatever the network and its `weight_norm`.

    Args:
        condition_dim: length of the condition.
        channels: length of the output.
    """

    def __init__(self, condition_dim: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(channels, condition_dim))

    def forward(self, condition: Tensor) -> Tensor:
        """The gains or biases."""
        return linear(condition, self.weight)


@formula("(1 + V {condition}) (h − mean) / √var + U {condition}, statistics of the batch")
class ConditionalBatchNorm(Conditioned):
    """Batch norm whose gain and bias are affine in the condition: (n, channels, …) → the same shape.

    With a one-hot condition each class has its own gain and bias (Dumoulin et al. 2017, arXiv:1610.07629, Eq. 5; de
    Vries et al. 2017, arXiv:1707.00683, Section 3). At the start they are nearly equal for all classes.

    Args:
        channels: size of dimension 1.
        condition_dim: length of the condition.
        spatial: whether activations are (n, channels, h, w).

    Raises:
        ValueError: there is no condition.
    """

    def __init__(self, channels: int, condition_dim: int, spatial: bool):
        super().__init__()
        if condition_dim < 1:
            raise ValueError(
                "norm=conditional needs a condition; choose norm=batch, or a game with a conditional generator, such "
                "as game=conditional"
            )
        self.norm = BatchNorm2d(channels) if spatial else BatchNorm1d(channels)
        self.gain = ConditionMap(condition_dim, channels)
        self.bias = ConditionMap(condition_dim, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise, scale and shift."""
        shape = (len(x), -1, *[1] * (x.dim() - 2))
        return self.norm(x) * (1 + self.gain(condition).view(shape)) + self.bias(condition).view(shape)
