"""Encoders: what a datum says of the latent that it might have been generated from, q(z|x)."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from gan_runner.models.layers.normalization import reparametrize, unbounded
from gan_runner.models.networks import Discriminator, initialise_from_data
from gan_runner.models.sizes import at_least_one
from gan_runner.tools import per_sample


class Posterior(NamedTuple):
    """q(z|x) of a batch.

    Attributes:
        codes: one draw for each datum, (n, latent_dim), with a graph to what it was drawn from.
        mean: the code that stands for the datum where one must, (n, latent_dim); a draw where q has no known mean.
        log_std: of a Gaussian, (n, latent_dim); None where q has no density.
    """

    codes: Tensor
    mean: Tensor
    log_std: Tensor | None = None


@runtime_checkable
class Invertible(Protocol):
    """A generator that has an inverse."""

    def encode(self, x: Tensor) -> Posterior:
        """What each of the data (n, *shape) is generated from, all of q at one point."""


class Encoder(nn.Module):
    """Data (n, *shape) → q(z|x), by the trunk of a discriminator: so there is one for every model.

    What the discriminator does to its input while it trains, its head, and bounds on its weights (`spectral`,
    `orthogonal`) are left out. The norm of its activations is kept.

    Args:
        discriminator: the discriminator whose trunk it is built like.
        latent_dim: of z.
        outputs: numbers read off the trunk for each datum.
    """

    is_scored = False
    """No score depends on it, so what smooths scores asks nothing of it."""

    def __init__(self, discriminator: Discriminator, latent_dim: int, outputs: int):
        super().__init__()
        at_least_one(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.trunk = unbounded(discriminator.trunk)
        self.output = nn.Linear(discriminator.num_features, outputs)
        reparametrize(self.output, discriminator.weight_norm)
        unbounded(self.output)

    def read(self, x: Tensor) -> Tensor:
        """What is read off the trunk: (n, outputs)."""
        return self.output(self.trunk(x)).to(x.dtype)

    @abstractmethod
    def forward(self, x: Tensor) -> Posterior:
        """q(z|x)."""

    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Data-dependent initialisation from (n, *shape): reference batches, weight norm."""
        initialise_from_data(self, inputs)


class DeterministicEncoder(Encoder):
    """One code a datum.

    Args:
        discriminator: the discriminator whose trunk it is built like.
        latent_dim: of z.
        spherical: whether codes are brought to the sphere of radius √latent_dim, that of `latents.Sphere`.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, spherical: bool = False):
        super().__init__(discriminator, latent_dim, latent_dim)
        self.spherical = spherical

    def forward(self, x: Tensor) -> Posterior:
        """All of q at one point."""
        codes = self.read(x)
        if self.spherical:
            codes = nn.functional.normalize(codes, dim=1) * self.latent_dim**0.5
        return Posterior(codes, codes)


class GaussianEncoder(Encoder):
    """N(μ(x), diag σ²(x)), drawn from by z = μ + σ ε (Kingma & Welling 2014, arXiv:1312.6114, Section 2.4).

    Args:
        discriminator: the discriminator whose trunk it is built like.
        latent_dim: of z.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int):
        super().__init__(discriminator, latent_dim, 2 * latent_dim)

    def forward(self, x: Tensor) -> Posterior:
        """Mean, logarithm of the standard deviation, and a draw."""
        mean, log_std = self.read(x).chunk(2, 1)
        noise = per_sample.randn(len(x), self.latent_dim, device=x.device).to(x.dtype)
        return Posterior(mean + log_std.exp() * noise, mean, log_std)


class ImplicitEncoder(Encoder):
    """z = f(x, ε) with ε ~ N(0, I): a distribution that can be drawn from, and has no known density.

    Mescheder et al. 2017, arXiv:1701.04722, Section 2.2 (Fig. 2). ε joins the features of x, and two hidden layers
    make a code of both.

    Args:
        discriminator: the discriminator whose trunk it is built like.
        latent_dim: of z.
        noise_dim: of ε.
        width: units of either hidden layer.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, noise_dim: int = 32, width: int = 256):
        super().__init__(discriminator, latent_dim, width)
        at_least_one(noise_dim=noise_dim, width=width)
        self.noise_dim = noise_dim
        self.of_noise = nn.Linear(noise_dim, width, bias=False)
        self.code = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, latent_dim))

    def forward(self, x: Tensor) -> Posterior:
        """A draw, which also stands for its mean."""
        noise = per_sample.randn(len(x), self.noise_dim, device=x.device).to(x.dtype)
        codes = self.code(self.read(x) + self.of_noise(noise)).to(x.dtype)
        return Posterior(codes, codes)
