"""InfoGAN's networks for MNIST (Chen et al. 2016, arXiv:1606.03657, Appendix C.1, and the authors' code)."""

from __future__ import annotations

from torch import nn

from gan_runner.models.dcgan import init_weights
from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import Augment, Discriminator, FeatureLayer, Generator, Head
from gan_runner.models.sizes import at_least_one, require_square_images


def coarsest_side(shape: tuple[int, ...]) -> int:
    """Side of the coarsest feature map: 7 for 28 px.

    Raises:
        ValueError: samples are not square images whose side can be halved twice.
    """
    require_square_images(shape)
    if shape[1] % 4:
        raise ValueError(f"dataset.image_size={shape[1]} cannot be halved twice; choose a multiple of 4, such as 28")
    return shape[1] // 4


class InfoGANGenerator(Generator):
    """Rows (n, latent_dim + condition_dim) → images (n, channels, side, side).

    Two linear layers, then two transposed convolutions that double the side.

    Args:
        latent_dim: length of the latent z.
        shape: (channels, side, side).
        bounded: whether data lies in [−1, 1], so that tanh is the last layer.
        width: channels of the finest hidden feature map; the coarser one has twice as many.
        hidden: units of the first layer.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the codes or another condition beside each latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool = True,
        width: int = 64,
        hidden: int = 1024,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, width=width, hidden=hidden)
        side, bias = coarsest_side(shape), norm == "none"
        body = Chain(
            nn.Linear(latent_dim + condition_dim, hidden, bias=bias),
            self.normalization(hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * width * side**2, bias=bias),
            self.normalization(2 * width * side**2),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, side, side)),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=bias),
            self.normalization(width, spatial=True),
            nn.ReLU(),
            nn.ConvTranspose2d(width, shape[0], 4, 2, 1),
        )
        self.assemble(body, latent_dim, bounded, weight_norm, init_weights)


class InfoGANDiscriminator(Discriminator):
    """Images (n, channels, side, side) → scores (n,).

    Two convolutions that halve the side, then one linear layer, whose outputs are the features.

    Args:
        shape: (channels, side, side).
        width: channels of the finest feature map; the coarser one has twice as many.
        hidden: number of features.
        leak: slope of the leaky ReLU below zero.
        norm: normalisation of all hidden layers but the first.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        feature_layer: layer between features and head, such as minibatch discrimination; None for none.
        augment: augmentations of the input in training mode, in this order.
        head: maker of the head; None for a linear layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 64,
        hidden: int = 1024,
        leak: float = 0.01,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        at_least_one(width=width, hidden=hidden)
        side, bias = coarsest_side(shape), norm == "none"
        trunk = nn.Sequential(
            nn.Conv2d(shape[0], width, 4, 2, 1),
            nn.LeakyReLU(leak),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=bias),
            self.normalization(2 * width, spatial=True),
            nn.LeakyReLU(leak),
            nn.Flatten(),
            nn.Linear(2 * width * side**2, hidden, bias=bias),
            self.normalization(hidden),
            nn.LeakyReLU(leak),
        )
        self.assemble(trunk, shape, hidden, feature_layer, weight_norm, init_weights, augment=augment, head=head)
