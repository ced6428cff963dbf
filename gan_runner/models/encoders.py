"""Encoders q(z|x): distributions over latents given a sample."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from gan_runner.models.layers.normalization import remove_weight_bounds, reparametrize
from gan_runner.models.networks import Discriminator, initialise_from_data
from gan_runner.models.sizes import at_least_one
from gan_runner.tools import per_sample
from gan_runner.tools.formulas import formula


class Posterior(NamedTuple):
    """q(z|x) of a batch.

    Attributes:
        codes: one differentiable draw for each sample, (n, latent_dim).
        mean: the mean of q for each sample, (n, latent_dim); a draw if the mean is not known.
        log_std: log standard deviation of a Gaussian, (n, latent_dim); None if q has no density.
    """

    codes: Tensor
    mean: Tensor
    log_std: Tensor | None = None


@runtime_checkable
class Invertible(Protocol):
    """A generator with an inverse."""

    def encode(self, x: Tensor) -> Posterior:
        """The latents that generate the samples x (n, *shape): q(z|x) has all its mass there."""


class Encoder(nn.Module):
    """Data (n, *shape) → q(z|x), with the trunk of a discriminator, so every model has an encoder.

    It keeps the normalisation of the discriminator's activations. It leaves out its augmentations, its head, and
    `spectral` and `orthogonal` weights.

    Args:
        discriminator: the discriminator whose trunk is used.
        latent_dim: length of z.
        outputs: number of outputs of the linear layer on the trunk.
    """

    is_scored = False
    """No score depends on it, so gradient penalties and weight clipping do not apply."""

    def __init__(self, discriminator: Discriminator, latent_dim: int, outputs: int):
        super().__init__()
        at_least_one(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.trunk = remove_weight_bounds(discriminator.trunk)
        self.output = nn.Linear(discriminator.num_features, outputs)
        reparametrize(self.output, discriminator.weight_norm)
        remove_weight_bounds(self.output)

    def read(self, x: Tensor) -> Tensor:
        """Outputs (n, outputs) of the linear layer on the trunk."""
        return self.output(self.trunk(x)).to(x.dtype)

    @abstractmethod
    def forward(self, x: Tensor) -> Posterior:
        """q(z|x)."""

    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Initialise reference batches and weight norm from inputs (n, *shape)."""
        initialise_from_data(self, inputs)


@formula(lambda encoder, symbols: "E(x) on the sphere of radius √dim z" if encoder.spherical else "E(x): deterministic")
class DeterministicEncoder(Encoder):
    """An encoder that maps each sample to one code.

    Args:
        discriminator: the discriminator whose trunk is used.
        latent_dim: length of z.
        spherical: whether codes are projected to the sphere of radius √latent_dim, as those of `latents.Sphere`.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, spherical: bool = False):
        super().__init__(discriminator, latent_dim, latent_dim)
        self.spherical = spherical

    def forward(self, x: Tensor) -> Posterior:
        """q(z|x) with all its mass at one point."""
        codes = self.read(x)
        if self.spherical:
            codes = nn.functional.normalize(codes, dim=1) * self.latent_dim**0.5
        return Posterior(codes, codes)


@formula("E(x) = μ(x) + σ(x) ε, ε ~ N(0, I)")
class GaussianEncoder(Encoder):
    """N(μ(x), diag σ²(x)), sampled by z = μ + σ ε (Kingma & Welling 2014, arXiv:1312.6114, Section 2.4).

    Args:
        discriminator: the discriminator whose trunk is used.
        latent_dim: length of z.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int):
        super().__init__(discriminator, latent_dim, 2 * latent_dim)

    def forward(self, x: Tensor) -> Posterior:
        """q(z|x) with a draw, the mean and the log standard deviation."""
        mean, log_std = self.read(x).chunk(2, 1)
        noise = per_sample.randn(len(x), self.latent_dim, device=x.device).to(x.dtype)
        return Posterior(mean + log_std.exp() * noise, mean, log_std)


@formula("E(x) = E(x, ε), ε ~ N(0, I) in {noise_dim} dimensions")
class ImplicitEncoder(Encoder):
    """z = f(x, ε) with ε ~ N(0, I): a distribution that can be sampled but has no known density.

    Mescheder et al. 2017, arXiv:1701.04722, Section 2.2 (Fig. 2). ε is added to the features of x in a first hidden
    layer; a second one follows.

    Args:
        discriminator: the discriminator whose trunk is used.
        latent_dim: length of z.
        noise_dim: length of ε.
        width: units of each hidden layer.
    """

    def __init__(self, discriminator: Discriminator, latent_dim: int, noise_dim: int = 32, width: int = 256):
        super().__init__(discriminator, latent_dim, width)
        at_least_one(noise_dim=noise_dim, width=width)
        self.noise_dim = noise_dim
        self.of_noise = nn.Linear(noise_dim, width, bias=False)
        self.code = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, latent_dim))

    def forward(self, x: Tensor) -> Posterior:
        """q(z|x) with one draw, which is also returned as the mean."""
        noise = per_sample.randn(len(x), self.noise_dim, device=x.device).to(x.dtype)
        codes = self.code(self.read(x) + self.of_noise(noise)).to(x.dtype)
        return Posterior(codes, codes)
