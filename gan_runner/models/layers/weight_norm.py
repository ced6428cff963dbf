"""Weight normalisation and its data-dependent initialisation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from gan_runner.tools.formulas import formula


@formula("W = g v / ‖v‖")
class WeightNormalized(nn.Module):
    """v → the weight g v / ‖v‖, with one gain g for each output (Salimans & Kingma 2016, arXiv:1602.07868, Eq. 2).

    Initially v = w and g = ‖w‖, until `standardize` sets g from data.

    Args:
        weight: the initial weight w, of any shape.
        dim: dimension of the outputs; ‖v‖ is over all others together.
        standardized: whether `standardize` sets g.
    """

    gain: Tensor

    def __init__(self, weight: Tensor, dim: int = 0, standardized: bool = True):
        super().__init__()
        self.dim = dim
        self.standardized = standardized
        self.gain = nn.Parameter(self.norm(weight.detach()))

    def norm(self, v: Tensor) -> Tensor:
        """‖v‖ for each output, of a shape that broadcasts to v."""
        return torch.linalg.vector_norm(v, dim=[d for d in range(v.dim()) if d != self.dim], keepdim=True)

    def forward(self, v: Tensor) -> Tensor:
        """The weight, of the same shape."""
        return v * (self.gain / self.norm(v))

    def freeze(self) -> None:
        """Make g a buffer, which `standardize` still sets but training does not change."""
        gain = self.gain.detach()
        del self.gain
        self.register_buffer("gain", gain)


def normalize_weight(module: nn.Module, dim: int = 0, standardized: bool = True) -> None:
    """Normalise the weight of a layer in place; `dim` is the dimension of its outputs."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    register_parametrization(module, "weight", WeightNormalized(weight, dim, standardized))


def normalized_weights(network: nn.Module) -> Iterator[tuple[nn.Module, WeightNormalized]]:
    """All layers of a network with weight norm, each with its reparametrisation."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            made = module.parametrizations.weight[0]  # type: ignore[index, union-attr]
            if isinstance(made, WeightNormalized):
                yield module, made


@torch.no_grad()
def standardize(network: nn.Module, *inputs: Tensor | None) -> None:
    """Set gains and biases so that units with weight norm have mean 0 and variance 1 on these inputs (n, …).

    One forward pass sets them layer by layer, so that each layer sees the new outputs of those before it (Salimans &
    Kingma 2016, arXiv:1602.07868, Section 3). Statistics are over n and over the positions of a convolution. A layer
    without bias keeps its mean, and a constant unit is only shifted.
    """
    layers = [(layer, normalized) for layer, normalized in normalized_weights(network) if normalized.standardized]
    if not layers:
        return
    norms: dict[nn.Module, WeightNormalized] = dict(layers)

    def hook(layer: nn.Module, _: object, output: Tensor) -> Tensor:
        over = [0, *range(2, output.dim())]
        mean, std = output.mean(over), output.std(over, correction=0)
        std = torch.where(std > 0, std, 1)
        norms[layer].gain /= std.view_as(norms[layer].gain)
        shift = torch.zeros_like(mean)
        if isinstance(layer.bias, Tensor):
            layer.bias.copy_((layer.bias - mean) / std)
            shift = mean
        shape = (1, -1, *[1] * (output.dim() - 2))
        return (output - shift.view(shape)) / std.view(shape)

    handles = [layer.register_forward_hook(hook) for layer in norms]
    try:
        network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
