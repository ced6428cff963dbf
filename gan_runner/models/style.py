"""A generator inverted: which latent an image was made from, whatever it was made for."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.models.dcgan import DCGANDiscriminator, init_weights
from gan_runner.models.layers.normalization import Norm


class StyleEncoder(nn.Module):
    """Images (n, *shape) → latents (n, latent_dim): a DCGAN discriminator's trunk, then a linear layer.

    S of Reed et al. 2016, arXiv:1605.05396, Section 4.4: what an image has that its caption does not say.

    Args:
        latent_dim: of z.
        shape: (channels, side, side).
        width: channels of the finest feature map.
        norm: normalisation of the hidden layers but the first; not virtual.

    Raises:
        ValueError: there are no latents to be found, or there is no reference batch.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int = 32, norm: Norm = "batch"):
        super().__init__()
        if latent_dim < 1:
            raise ValueError("this game has no latents to be found; leave out regularizer=[style_encoder]")
        if norm == "virtual":
            raise ValueError("norm=virtual has no reference batch here; choose norm=batch")
        discriminator = DCGANDiscriminator(shape, width, norm)
        self.trunk = discriminator.trunk
        self.latent = nn.Linear(discriminator.num_features, latent_dim)
        init_weights(self.latent)

    def forward(self, x: Tensor) -> Tensor:
        """z (n, latent_dim)."""
        return self.latent(self.trunk(x)).to(x.dtype)
