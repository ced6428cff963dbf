"""Weight normalisation, and the initialisation that depends on data which belongs to it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization


class WeightNormalized(nn.Module):
    """A direction v → the weight g v / ‖v‖, one norm g an output (Salimans & Kingma 2016, arXiv:1602.07868, Eq. 2).

    Training starts at the weight as it is: v = w, g = ‖w‖, until `standardize` sets g by data.

    Args:
        weight: (…) that is normalised.
        dim: in which its outputs are; ‖v‖ is over all others together.
        standardized: whether `standardize` acts on it.
    """

    gain: Tensor

    def __init__(self, weight: Tensor, dim: int = 0, standardized: bool = True):
        super().__init__()
        self.dim = dim
        self.standardized = standardized
        self.gain = nn.Parameter(self.norm(weight.detach()))

    def norm(self, v: Tensor) -> Tensor:
        """‖v‖ of every output, of a shape that divides v."""
        return torch.linalg.vector_norm(v, dim=[d for d in range(v.dim()) if d != self.dim], keepdim=True)

    def forward(self, v: Tensor) -> Tensor:
        """The weight, of the same shape."""
        return v * (self.gain / self.norm(v))

    def freeze(self) -> None:
        """From now on g is a buffer: initialised, and not trained."""
        gain = self.gain.detach()
        del self.gain
        self.register_buffer("gain", gain)


def normalize_weight(module: nn.Module, dim: int = 0, standardized: bool = True) -> None:
    """Normalise the weight of a layer in place; its outputs are in this dimension of the weight."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    register_parametrization(module, "weight", WeightNormalized(weight, dim, standardized))


def normalized_weights(network: nn.Module) -> Iterator[tuple[nn.Module, WeightNormalized]]:
    """Every layer below a network whose weight is normalised, with what normalises it."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            made = module.parametrizations.weight[0]  # type: ignore[index, union-attr]
            if isinstance(made, WeightNormalized):
                yield module, made


@torch.no_grad()
def standardize(network: nn.Module, *inputs: Tensor | None) -> None:
    """Let every unit with a normalised weight have mean 0 and variance 1 on these inputs (n, …) of the network.

    Norms and biases are set in the order in which one forward pass meets the layers, so that each sees what those
    before it have become (Salimans & Kingma 2016, arXiv:1602.07868, Section 3). Over n, and over the positions of a
    convolution. Where a layer has no bias its mean stays; a unit that does not vary is only shifted.
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
