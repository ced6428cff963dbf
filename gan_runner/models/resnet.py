"""Residual networks of WGAN-GP and SNGAN for images.

Gulrajani et al. 2017, arXiv:1704.00028, Appendix F, and Miyato et al. 2018, arXiv:1802.05957, Table 4, with the code of
both. They have the same blocks at 32 px: twice normalisation, ReLU and a 3×3 convolution, plus a shortcut. Upsampling
repeats pixels before a convolution; downsampling averages 2×2 pixels after it. A block that resizes has a 1×1
convolution in its shortcut, which commutes with resizing and therefore runs on the smaller image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from gan_runner.models.dcgan import resolutions
from gan_runner.models.layers.conditioning import Chain, Conditioned
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import Augment, Discriminator, FeatureLayer, Generator, Head, elements
from gan_runner.models.sizes import at_least_one

Pooling = Literal["mean", "sum"]
SpatialNorm = Callable[[int], nn.Module]


class ResidualBlock(Conditioned):
    """The sum of a residual branch and a shortcut: (n, in_channels, h, w) → (n, out_channels, h', w').

    Args:
        residual: the nonlinear branch.
        shortcut: the linear branch.
    """

    def __init__(self, residual: Chain, shortcut: nn.Module):
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The sum of both branches."""
        return self.shortcut(x) + self.residual(x, condition)


def convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3×3 convolution that keeps the side."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def downsample() -> nn.Module:
    """A mean over 2×2 pixels: (n, c, 2h, 2w) → (n, c, h, w)."""
    return nn.AvgPool2d(2)


def upsample() -> nn.Module:
    """Nearest-neighbour upsampling: (n, c, h, w) → (n, c, 2h, 2w)."""
    return nn.Upsample(scale_factor=2, mode="nearest")


def upsampling_block(width: int, norm: SpatialNorm) -> ResidualBlock:
    """A block that doubles the side: (n, width, h, w) → (n, width, 2h, 2w)."""
    residual = Chain(
        *(norm(width), nn.ReLU(), upsample(), convolution(width, width)),
        *(norm(width), nn.ReLU(), convolution(width, width)),
    )
    return ResidualBlock(residual, nn.Sequential(nn.Conv2d(width, width, 1), upsample()))


def plain_block(width: int, norm: SpatialNorm) -> ResidualBlock:
    """A block with the identity as shortcut: (n, width, h, w) → the same shape."""
    residual = Chain(
        *(norm(width), nn.ReLU(), convolution(width, width)),
        *(norm(width), nn.ReLU(), convolution(width, width)),
    )
    return ResidualBlock(residual, nn.Identity())


def downsampling_block(width: int, norm: SpatialNorm) -> ResidualBlock:
    """A block that halves the side: (n, width, 2h, 2w) → (n, width, h, w)."""
    residual = Chain(*plain_block(width, norm).residual, downsample())
    return ResidualBlock(residual, nn.Sequential(downsample(), nn.Conv2d(width, width, 1)))


def first_block(channels: int, width: int) -> ResidualBlock:
    """A downsampling block (n, channels, 2h, 2w) → (n, width, h, w) that starts with a convolution, for images."""
    residual = Chain(convolution(channels, width), nn.ReLU(), convolution(width, width), downsample())
    return ResidualBlock(residual, nn.Sequential(downsample(), nn.Conv2d(channels, width, 1)))


class GlobalPooling(nn.Module):
    """Pooling over all pixels: (n, c, h, w) → (n, c).

    Args:
        pooling: mean or sum.
    """

    def __init__(self, pooling: Pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return x.mean((2, 3)) if self.pooling == "mean" else x.sum((2, 3))


def init_weights(network: nn.Module) -> None:
    """Draw weights from U(±gain · √(6 / (fan in + fan out))), with zero biases.

    The gain is √2 for the convolutions of residual branches and one elsewhere, as in the code of both papers. For
    convolutions that keep the width this is He's initialisation.
    """
    before_relu = {
        id(layer) for block in network.modules() if isinstance(block, ResidualBlock) for layer in block.residual
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, 2**0.5 if id(module) in before_relu else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ResNetGenerator(Generator):
    """Rows (n, latent_dim + condition_dim) → images (n, channels, side, side): a linear layer, then residual blocks.

    Each block doubles the side. At 32 px there are three blocks after 4×4 pixels, as published; other sizes have more
    or fewer blocks of the same width.

    Args:
        latent_dim: length of the latent z.
        shape: (channels, side, side), with the same sides as DCGAN.
        bounded: whether data lies in [−1, 1], so that tanh is the last layer.
        width: channels of all hidden feature maps: 128 in WGAN-GP, 256 in SNGAN.
        norm: normalisation before each ReLU.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition beside each latent.

    Raises:
        ValueError: samples are not square images of a supported side.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool = True,
        width: int = 128,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, width=width)
        sides = resolutions(shape)
        spatial_norm = partial(self.normalization, spatial=True)
        coarse = (width, sides[0], sides[0])
        body = Chain(
            nn.Linear(latent_dim + condition_dim, elements(coarse)),
            nn.Unflatten(1, coarse),
            *(upsampling_block(width, spatial_norm) for _ in sides[1:]),
            spatial_norm(width),
            nn.ReLU(),
            convolution(width, shape[0]),
        )
        self.assemble(body, latent_dim, bounded, weight_norm, init_weights)


class ResNetDiscriminator(Discriminator):
    """Images (n, channels, side, side) → scores (n,): blocks that halve the side, two that keep it, global pooling.

    The side is halved until it is at most 8, and at least once: at 32 px by two blocks, as published.

    Args:
        shape: (channels, side, side), with the same sides as DCGAN.
        width: channels of all feature maps.
        pooling: pooling of the last feature map: mean in WGAN-GP, sum in SNGAN.
        norm: normalisation before each ReLU of all blocks but the first.
        weight_norm: reparametrisation of the weights: spectral in SNGAN.
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: layer between features and head, such as minibatch discrimination; None for none.
        augment: augmentations of the input in training mode, in this order.
        head: maker of the head; None for a linear layer.

    Raises:
        ValueError: samples are not square images of a supported side.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 128,
        pooling: Pooling = "mean",
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        at_least_one(width=width)
        spatial_norm = partial(self.normalization, spatial=True)
        halvings = sum(side > 8 for side in resolutions(shape)) or 1
        trunk = Chain(
            first_block(shape[0], width),
            *(downsampling_block(width, spatial_norm) for _ in range(halvings - 1)),
            *(plain_block(width, spatial_norm) for _ in range(2)),
            nn.ReLU(),
            GlobalPooling(pooling),
        )
        self.assemble(trunk, shape, width, feature_layer, weight_norm, init_weights, augment=augment, head=head)
