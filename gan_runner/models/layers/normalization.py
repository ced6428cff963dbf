"""The options `norm` and `weight_norm` of every network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, register_parametrization, remove_parametrizations

from gan_runner.models.layers.batch_norm import BatchNorm1d, BatchNorm2d
from gan_runner.models.layers.conditioning import ConditionalBatchNorm
from gan_runner.models.layers.orthogonal import Orthogonal
from gan_runner.models.layers.virtual_batch_norm import VirtualBatchNorm
from gan_runner.models.layers.weight_norm import WeightNormalized, normalize_weight
from gan_runner.tools.formulas import formula

Norm = Literal["none", "batch", "layer", "instance", "virtual", "conditional"]
WeightNorm = Literal["none", "weight", "spectral", "orthogonal"]


def normalization(norm: Norm, channels: int, spatial: bool, reference_size: int, condition_dim: int = 0) -> nn.Module:
    """A normalisation of activations (n, channels), or (n, channels, h, w) if they are spatial.

    Layer norm is over all elements of a sample, instance norm over each channel of a sample. The gain and bias of
    conditional batch norm depend on a condition.

    Raises:
        ValueError: `norm=instance` without spatial dimensions, or `norm=conditional` without a condition.
    """
    if norm == "instance" and not spatial:
        raise ValueError("norm=instance needs images, since it would set vectors to zero; choose norm=layer or batch")
    makers: dict[Norm, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "batch": lambda: BatchNorm2d(channels) if spatial else BatchNorm1d(channels),
        "layer": lambda: nn.GroupNorm(1, channels),
        "instance": lambda: nn.InstanceNorm2d(channels, affine=True),
        "virtual": lambda: VirtualBatchNorm(channels, reference_size),
        "conditional": lambda: ConditionalBatchNorm(channels, condition_dim, spatial),
    }
    return makers[norm]()


def divide_by_spectral_norm(module: nn.Module, dim: int) -> None:
    """Divide the weight of a layer by its largest singular value, in place; its outputs are in this dimension."""
    spectral_norm(module, dim=dim)
    formula("W / σ₁(W), σ₁ the largest singular value")(module.parametrizations.weight[0])  # type: ignore[index, union-attr]


def reparametrize(network: nn.Module, weight_norm: WeightNorm) -> None:
    """Reparametrise the weight of every linear and convolutional layer in place, as a matrix (outputs, inputs).

    `spectral` divides it by its largest singular value, estimated by one power iteration in each forward pass (Miyato
    et al. 2018, arXiv:1802.05957, Algorithm 1). `orthogonal` sets all its singular values to one. `weight` learns norm
    and direction of each row separately, and is initialised from data. In a transposed convolution dimension 1 of the
    weight is the outputs.
    """
    makers: dict[WeightNorm, Callable[[nn.Module, int], object]] = {
        "none": lambda module, dim: module,
        "weight": normalize_weight,
        "spectral": divide_by_spectral_norm,
        "orthogonal": lambda module, dim: register_parametrization(module, "weight", Orthogonal(dim)),
    }
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            makers[weight_norm](module, 1 if isinstance(module, nn.ConvTranspose2d) else 0)


def remove_weight_bounds(network: nn.Module) -> nn.Module:
    """Remove `spectral` and `orthogonal` reparametrisations in place, and return the network."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            made = module.parametrizations.weight[0]  # type: ignore[index, union-attr]
            if not isinstance(made, WeightNormalized):
                remove_parametrizations(module, "weight", leave_parametrized=False)
    return network
