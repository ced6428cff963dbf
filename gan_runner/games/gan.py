"""The adversarial game (Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1).

The discriminator sees real data and fakes made without a graph; the generator sees the discriminator's scores of its
fakes. The terms that each of them minimises are in `conf/game/gan.yaml`.
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
from gan_runner.tools.formulas import Score
from gan_runner.turn import Batch, Turn, lazy

CPU = torch.device("cpu")
"""The device on which latents are drawn that must be equal on every device."""


def scored(fake: str, *beside: str) -> dict[str, str]:
    """How fakes, and scores of them and of data, are written in formulas, where the critic sees something beside."""
    points = {"real": "x", "fake": fake, "between": "x̂"}
    scores = {f"{kind}_scores": Score("D", point, *beside) for kind, point in points.items()}
    inputs = {"real_inputs": "x", "fake_inputs": fake, "between": "x̂"}
    return {"fake": fake, "real_features": "f(x)", "fake_features": f"f({fake})", **inputs, **scores}


class GenerativeTurn(Turn):
    """Real data, noise and fakes of one move, for a game that has a `latent`."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return {"real": "x", "noise": "z", "fake": "G(z)"}

    @lazy
    def real(self) -> Tensor:
        """Real samples (n, *shape)."""
        return self.batch["data"]

    @lazy
    def dequantised(self) -> Tensor:
        """Real samples to fit a density to (n, *shape): images with uniform noise within each byte's bin, points as is.

        It needs a generator that has a density.
        """
        if not self.networks["generator"].bounded:
            return self.real
        real = self.real
        return dequantised(real, per_sample.rand(*real.shape, device=real.device, dtype=real.dtype))

    @lazy
    def noise(self) -> Tensor:
        """Latents (n, latent_dim), on the device of the data."""
        return per_sample.draw(lambda n: self.game.latent(n, self.real.device), len(self.real))

    @lazy
    def fake(self) -> Tensor:
        """Fakes (n, *shape), with a graph only in the generator's own turn."""
        with self.grad_if_owned("generator"):
            return self.networks["generator"](self.noise)


class GANTurn(GenerativeTurn):
    """Real data, noise and fakes of one move, with the critic's features and scores."""

    logged: tuple[str, ...] = ("real_scores", "fake_scores")

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return super().symbols | scored("G(z)")

    @property
    def critic_name(self) -> str:
        """The name of the network that scores."""
        return self.game.critic

    def features(self, x: Tensor) -> Tensor:
        """The critic's features of `x`: (n, num_features)."""
        return self.networks[self.critic_name].features(x)

    def score(self, features: Tensor, x: Tensor) -> Tensor:
        """The critic's scores (n,) of samples `x` with these features."""
        return self.networks[self.critic_name].score(features, x)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, classes) from features, for a critic that also classifies."""
        return self.networks[self.critic_name].classify(features)

    def critic(self, x: Tensor) -> Tensor:
        """The critic's scores (n,) of samples `x`."""
        return self.score(self.features(x), x)

    @property
    def real_critic_inputs(self) -> tuple[Tensor, ...]:
        """Arguments of `critic` for real samples, by which gradient penalties differentiate: (n, *shape)."""
        return (self.real,)

    @property
    def fake_critic_inputs(self) -> tuple[Tensor, ...]:
        """Arguments of `critic` for fakes, by which gradient penalties differentiate: (n, *shape)."""
        return (self.fake,)

    @lazy
    def real_features(self) -> Tensor:
        """Features of the real samples: (n, num_features)."""
        with self.grad_if_owned(self.critic_name):
            return self.features(self.real)

    @lazy
    def fake_features(self) -> Tensor:
        """Features of the fakes: (n, num_features)."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.features(self.fake)

    @lazy
    def real_scores(self) -> Tensor:
        """Scores (n,) of the real samples."""
        with self.grad_if_owned(self.critic_name):
            return self.score(self.real_features, self.real)

    @lazy
    def fake_scores(self) -> Tensor:
        """Scores (n,) of the fakes."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.score(self.fake_features, self.fake)

    @lazy
    def scores(self) -> Scores:
        """Scores of the global batch, real and fake, for a loss; each is computed when the loss reads it."""
        return LazyScores(lambda: all_gather(self.real_scores), lambda: all_gather(self.fake_scores))

    def scores_against(self, fake: Tensor) -> Scores:
        """Scores for a loss, with the given scores (n,) of other samples in place of those of the fakes."""
        return LazyScores(lambda: self.scores.real, lambda: all_gather(fake))


class LazyScores:
    """Scores for a loss, each computed when the loss reads it.

    Args:
        real: computes the scores (n,) of the samples that are treated as real.
        fake: computes the scores (n,) of the samples that are treated as fake.
    """

    def __init__(self, real: Callable[[], Tensor], fake: Callable[[], Tensor]):
        self.compute_real = real
        self.compute_fake = fake

    @lazy
    def real(self) -> Tensor:
        """Scores (n,) of real samples."""
        return self.compute_real()

    @lazy
    def fake(self) -> Tensor:
        """Scores (n,) of fakes."""
        return self.compute_fake()


@dataclass(frozen=True)
class FromLatents:
    """A game whose generator takes latents alone.

    Args:
        latent: the prior p(z) of the generator's latents.
    """

    latent: Latent

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """No arguments beside the shape of the data and the length of latents."""
        return {}

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Latents (n, latent_dim)."""
        return self.latent(n, CPU, rng)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """Latents for a square picture of n samples."""
        return SampleGrid(self.noise(networks, n, rng))


@dataclass(frozen=True)
class GAN(FromLatents):
    """Generator against discriminator.

    Args:
        latent: the prior p(z) of the generator's latents.
        critic: the name of the network that scores: a discriminator, or an autoencoder (by its reconstruction error).
    """

    critic: str = "discriminator"

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> GANTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return GANTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples: reference batches, output biases."""
        real = data.real(n)
        noise = self.latent(len(real), real.device)
        for name, inputs in {"generator": noise, self.critic: real}.items():
            networks[name].prepare(inputs, real)  # type: ignore[operator]

    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Samples (n, *shape) for latents (n, latent_dim)."""
        return networks["generator"](noise)

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """True: the critic scores a point alone."""
        return True

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of points (n, *shape)."""
        return networks[self.critic](x)
