"""An autoencoder as a critic: a discriminator's trunk encodes, a generator decodes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gan_runner.models.layers.conditioning import Chain
from gan_runner.models.layers.normalization import reparametrize
from gan_runner.models.networks import Discriminator, Generator
from gan_runner.models.sizes import at_least_one
from gan_runner.tools.formulas import formula

Error = Literal["squared", "absolute"]


ERRORS: dict[Error, str] = {"squared": "mean (x − Dec(Enc(x)))²", "absolute": "mean |x − Dec(Enc(x))|"}
"""Formulas of the errors."""


@formula(lambda network, symbols: f"L(x) = −D(x) = {ERRORS[network.error]}")
class Autoencoder(nn.Module):
    """Data (n, *shape) → codes (n, latent_dim) → reconstructions (n, *shape). The score is minus the error.

    The critic of energy-based GANs (Zhao et al. 2017, arXiv:1609.03126, Fig. 1). It is built from the networks of any
    model. A linear layer to the code replaces the last layer of the encoder's head.

    Args:
        encoder: a discriminator of the data.
        decoder: a generator of the data from latents (n, latent_dim).
        latent_dim: length of the code.
        error: the mean over the elements of a sample of the squared or the absolute difference.

    Raises:
        ValueError: the encoder has a head of its own, or augmentations.
    """

    def __init__(self, encoder: Discriminator, decoder: Generator, latent_dim: int, error: Error = "squared"):
        super().__init__()
        at_least_one(latent_dim=latent_dim)
        *layers, score = encoder.head.children()
        if not isinstance(score, nn.Linear):
            raise ValueError(
                "an autoencoder scores by its reconstruction error: it takes no condition and does not classify; "
                "choose another loss, or game=gan"
            )
        if len(encoder.augment):
            raise ValueError(
                "an autoencoder would learn to undo instance_noise, diff_augment or ada, not to reconstruct the data; "
                "leave these out, or choose a loss without an autoencoder"
            )
        code = nn.Linear(score.in_features, latent_dim)
        reparametrize(code, encoder.weight_norm)
        encoder.head = Chain(*layers, code)
        self.num_features = latent_dim
        self.encoder = encoder
        self.decoder = decoder
        self.error = error

    def prepare(self, inputs: Tensor, data: Tensor, condition: Tensor | None = None) -> None:
        """Initialise both networks from data: `inputs` and `data` are (n, *shape). The condition is not used."""
        self.encoder.prepare(inputs, data)
        with torch.no_grad():
            codes = self.features(inputs)
        self.decoder.prepare(codes, data)

    def features(self, x: Tensor) -> Tensor:
        """Codes (n, latent_dim)."""
        return self.encoder.head(self.encoder.features(x)).to(x.dtype)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (n, latent_dim) → samples (n, *shape)."""
        return self.decoder(codes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Encode and decode: (n, *shape) → the same shape."""
        return self.decode(self.features(x))

    def score(self, features: Tensor, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Minus the reconstruction error of each sample x with code `features`: (n,), at most 0."""
        difference = (self.decode(features) - x).flatten(1)
        return -(difference.square() if self.error == "squared" else difference.abs()).mean(1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n,)."""
        return self.score(self.features(x), x)
