"""An encoder that inverts a conditional generator: it infers the latent of an image."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.models.dcgan import DCGANDiscriminator, init_weights
from gan_runner.models.layers.normalization import Norm


class StyleEncoder(nn.Module):
    """Images (n, *shape) → latents (n, latent_dim): a DCGAN discriminator's trunk, then a linear layer.

    The style encoder S of Reed et al. 2016, arXiv:1605.05396, Section 4.4: it infers what the caption of an image does
    not describe.

    Args:
        latent_dim: length of the latent z.
        shape: (channels, side, side).
        width: channels of the finest feature map.
        norm: normalisation of all hidden layers but the first; not virtual.

    Raises:
        ValueError: there are no latents, or the norm is virtual.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int = 32, norm: Norm = "batch"):
        super().__init__()
        if latent_dim < 1:
            raise ValueError("this game has no latents to infer; leave out regularizer=[style_encoder]")
        if norm == "virtual":
            raise ValueError("the style encoder has no reference batch for norm=virtual; choose norm=batch")
        discriminator = DCGANDiscriminator(shape, width, norm)
        self.trunk = discriminator.trunk
        self.latent = nn.Linear(discriminator.num_features, latent_dim)
        init_weights(self.latent)

    def forward(self, x: Tensor) -> Tensor:
        """Latents z (n, latent_dim) of images x."""
        return self.latent(self.trunk(x)).to(x.dtype)
