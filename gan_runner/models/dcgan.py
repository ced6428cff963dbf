"""Deep convolutional GAN (Radford et al. 2016, arXiv:1511.06434), after its five guidelines.

Strided and transposed convolutions replace pooling. Both networks have batch norm, except at the generator's output and
the discriminator's input. There are no fully connected hidden layers. The generator has ReLU, and tanh at its output;
the discriminator has leaky ReLU. Initial weights are drawn from N(0, 0.02²).
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import Norm, WeightNorm
from gan_runner.models.networks import Augment, Discriminator, FeatureLayer, Generator, Head, elements
from gan_runner.models.sizes import at_least_one, require_square_images


def resolutions(shape: tuple[int, ...]) -> list[int]:
    """Side lengths of the feature maps from coarse to fine: [4, 8, 16] for 16 px, [7, 14, 28] for 28 px.

    Raises:
        ValueError: samples are not square images whose side can be halved down to between 4 and 7.
    """
    require_square_images(shape)
    sides = [shape[1]]
    while sides[0] % 2 == 0 and sides[0] >= 8:
        sides.insert(0, sides[0] // 2)
    if not 4 <= sides[0] <= 7 or len(sides) == 1:
        raise ValueError(
            f"dataset.image_size={shape[1]} cannot be halved down to a side of 4 to 7; "
            "choose a power of two that is at least 8, or 28"
        )
    return sides


def init_weights(network: nn.Module) -> None:
    """Draw weights of convolutions and linear layers from N(0, 0.02²) with zero bias, batch norm's from N(1, 0.02²)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


class DCGANGenerator(Generator):
    """DCGAN generator: rows (n, latent_dim + condition_dim) → images (n, channels, side, side).

    Each layer doubles the side and halves the number of channels.

    Args:
        latent_dim: length of the latent z.
        shape: (channels, side, side).
        bounded: whether data lies in [−1, 1], so that tanh is the last layer.
        width: channels of the finest hidden feature map.
        norm: normalisation of the hidden layers.
        weight_norm: reparametrisation of the weights.
        reference_size: rows of the reference batch of `norm=virtual`.
        condition_dim: length of the condition beside each latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool = True,
        width: int = 64,
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(latent_dim=latent_dim, width=width)
        sides = resolutions(shape)
        widths = [width * 2**i for i in reversed(range(len(sides) - 1))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_dim + condition_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim + condition_dim, widths[0], sides[0], bias=norm == "none"),
            self.normalization(widths[0], spatial=True),
            nn.ReLU(),
        ]
        for coarse, fine in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(coarse, fine, 4, 2, 1, bias=norm == "none"),
                self.normalization(fine, spatial=True),
                nn.ReLU(),
            ]
        body = Chain(*layers, nn.ConvTranspose2d(width, shape[0], 4, 2, 1))
        self.assemble(body, latent_dim, bounded, weight_norm, init_weights)


class DCGANDiscriminator(Discriminator):
    """DCGAN discriminator: images (n, channels, side, side) → scores (n,).

    Each layer halves the side and doubles the number of channels.

    Args:
        shape: (channels, side, side).
        width: channels of the finest feature map.
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
        norm: Norm = "batch",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        feature_layer: FeatureLayer | None = None,
        augment: Augment | None = None,
        head: Head | None = None,
    ):
        super().__init__(norm, reference_size)
        at_least_one(width=width)
        sides = resolutions(shape)
        widths = [width * 2**i for i in range(len(sides) - 1)]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for fine, coarse in pairwise(widths):
            layers += [
                nn.Conv2d(fine, coarse, 4, 2, 1, bias=norm == "none"),
                self.normalization(coarse, spatial=True),
                nn.LeakyReLU(0.2),
            ]
        trunk = nn.Sequential(*layers, nn.Flatten())
        num_features = elements((widths[-1], sides[0], sides[0]))
        self.assemble(trunk, shape, num_features, feature_layer, weight_norm, init_weights, augment=augment, head=head)
