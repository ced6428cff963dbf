"""The adversarial game (Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1).

The discriminator sees real data and fakes made without a graph; the generator sees its fakes through the
discriminator. Which of the two descends what is said by the terms of the players, in `conf/game/gan.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.datasets.images import dequantised
from gan_runner.distributed.sharding import all_gather
from gan_runner.games.base import SampleGrid
from gan_runner.losses.base import Scores
from gan_runner.models.latents import Latent
from gan_runner.tools import per_sample
from gan_runner.turn import Batch, Turn, lazy

CPU = torch.device("cpu")
"""Where latents are drawn that are to be the same on every device."""


class GenerativeTurn(Turn):
    """Real data, noise and fakes of one move, of a game that has a `latent`."""

    @lazy
    def real(self) -> Tensor:
        """Data (n, *shape)."""
        return self.batch["data"]

    @lazy
    def dequantised(self) -> Tensor:
        """Data as densities are fitted to it (n, *shape): images with noise in the bins of their bytes, points as is.

        Of a game with a generator that has a density.
        """
        if not self.networks["generator"].bounded:
            return self.real
        real = self.real
        return dequantised(real, per_sample.rand(*real.shape, device=real.device, dtype=real.dtype))

    @lazy
    def noise(self) -> Tensor:
        """Latent draws (n, latent_dim), on the device of the data."""
        return per_sample.draw(lambda n: self.game.latent(n, self.real.device), len(self.real))

    @lazy
    def fake(self) -> Tensor:
        """Generated data (n, *shape), with a graph only in the generator's own turn."""
        with self.grad_if_owned("generator"):
            return self.networks["generator"](self.noise)


class GANTurn(GenerativeTurn):
    """Also features and scores, by the critic."""

    logged: tuple[str, ...] = ("real_scores", "fake_scores")

    @property
    def critic_name(self) -> str:
        """The network that scores."""
        return self.game.critic

    def replace(self, networks: Mapping[str, Any], owned: tuple[str, ...]) -> GANTurn:
        """The same batch, noise and fakes, as another player or other networks see them."""
        other = type(self)(self.game, networks, owned, self.batch)
        return other.given(noise=self.noise, fake=self.fake, **self.computed("whole"))

    def features(self, x: Tensor) -> Tensor:
        """The discriminator's features of `x`: (n, num_features)."""
        return self.networks[self.critic_name].features(x)  # type: ignore[operator]

    def score(self, features: Tensor, x: Tensor) -> Tensor:
        """The discriminator's scores (n,) of data `x` with these features: logits, or a critic's values."""
        return self.networks[self.critic_name].score(features, x)  # type: ignore[operator]

    def classify(self, features: Tensor) -> Tensor:
        """The logits (n, classes) of a critic that classifies, from features."""
        return self.networks[self.critic_name].classify(features)  # type: ignore[operator]

    def critic(self, x: Tensor) -> Tensor:
        """The discriminator's scores (n,) of data `x`."""
        return self.score(self.features(x), x)

    @property
    def real_critic_inputs(self) -> tuple[Tensor, ...]:
        """What `critic` is given of the data, and penalties differentiate by: data (n, *shape) alone."""
        return (self.real,)

    @property
    def fake_critic_inputs(self) -> tuple[Tensor, ...]:
        """The same of the fakes."""
        return (self.fake,)

    @lazy
    def real_features(self) -> Tensor:
        """Features of the data: (n, num_features)."""
        with self.grad_if_owned(self.critic_name):
            return self.features(self.real)

    @lazy
    def fake_features(self) -> Tensor:
        """Features of the fakes: (n, num_features)."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.features(self.fake)

    @lazy
    def real_scores(self) -> Tensor:
        """Scores (n,) of the data."""
        with self.grad_if_owned(self.critic_name):
            return self.score(self.real_features, self.real)

    @lazy
    def fake_scores(self) -> Tensor:
        """Scores (n,) of the fakes."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.score(self.fake_features, self.fake)

    @lazy
    def scores(self) -> Scores:
        """Both, of the global batch, for a loss; each is computed when the loss reads it."""
        return LazyScores(lambda: all_gather(self.real_scores), lambda: all_gather(self.fake_scores))

    def scores_against(self, fake: Tensor) -> Scores:
        """The same with the scores (n,) of other samples in place of those of the fakes."""
        return LazyScores(lambda: self.scores.real, lambda: all_gather(fake))


class LazyScores:
    """Scores for a loss, each computed when the loss reads it.

    Args:
        real: computes the scores (n,) of what stands for data.
        fake: computes the scores (n,) of what stands for fakes.
    """

    def __init__(self, real: Callable[[], Tensor], fake: Callable[[], Tensor]):
        self.compute_real = real
        self.compute_fake = fake

    @lazy
    def real(self) -> Tensor:
        """Scores (n,) of the data."""
        return self.compute_real()

    @lazy
    def fake(self) -> Tensor:
        """Scores (n,) of the fakes."""
        return self.compute_fake()


@dataclass(frozen=True)
class FromLatents:
    """A game whose samples are made of draws from a prior.

    Args:
        latent: the prior p(z) that the generator is fed from.
    """

    latent: Latent

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """Networks need to know the shape of the data alone."""
        return {}

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Latents (n, latent_dim)."""
        return self.latent(n, CPU, rng)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """As they come, in a square."""
        return SampleGrid(self.noise(networks, n, rng))


@dataclass(frozen=True)
class GAN(FromLatents):
    """Generator against discriminator.

    Args:
        latent: the prior p(z) that the generator is fed from.
        critic: the network that scores: a discriminator, or an autoencoder by its reconstruction error.
    """

    critic: str = "discriminator"

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> GANTurn:
        """What the player that owns `owned` sees of this batch."""
        return GANTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it: reference batches, output biases."""
        real = data.real(n)
        noise = self.latent(len(real), real.device)
        for name, inputs in {"generator": noise, self.critic: real}.items():
            networks[name].prepare(inputs, real)  # type: ignore[operator]

    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Generated data (n, *shape) for given latents (n, latent_dim)."""
        return networks["generator"](noise)

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Whether the critic has scores of points alone, whatever they were made from."""
        return True

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of points (n, *shape), or of samples beside the rows (n, …) they were made from."""
        return networks[self.critic](x)
