"""Generator and encoder: variational autoencoders, adversarial ones, and everything between.

All descend a bound on −log p(x): how unlikely data is given its code, and how far codes are from the prior. Rosca et
al. 2017, arXiv:1706.04987, Table 1, file them by two choices. The *likelihood* is observed (a distance between data and
its reconstruction), or made of the ratio that a discriminator estimates, or both. The distance to the *prior* is an
integral that is known, an approximation, or a ratio again, by a discriminator of codes. Each choice is a set of terms:
see `conf/likelihood/` and `conf/prior/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from gan_runner.datasets.base import Data
from gan_runner.games.gan import GAN, GANTurn
from gan_runner.models.encoders import Posterior
from gan_runner.models.observation import Laplace, Observation
from gan_runner.turn import Batch, lazy


class EncodingTurn(GANTurn):
    """Also codes: of data, and of fakes."""

    @lazy
    def posterior(self) -> Posterior:
        """q(z|x) of the data."""
        with self.grad_if_owned("encoder"):
            return self.networks["encoder"](self.real)

    @property
    def codes(self) -> Tensor:
        """A draw of q(z|x) for each of the data: (n, latent_dim)."""
        return self.posterior.codes

    @lazy
    def fake_codes(self) -> Tensor:
        """A draw of q(z|x) for each of the fakes: (n, latent_dim)."""
        with self.grad_if_owned("encoder", "generator"):
            return self.networks["encoder"](self.fake).codes


class AutoencodingTurn(EncodingTurn):
    """Also reconstructions, and what a discriminator of codes makes of codes and of the prior."""

    logged = (*GANTurn.logged, "errors", "reconstruction_scores", "code_scores", "prior_scores")

    @lazy
    def reconstruction(self) -> Tensor:
        """G(z) for z ~ q(z|x): (n, *shape)."""
        with self.grad_if_owned("encoder", "generator"):
            return self.networks["generator"](self.codes)

    @lazy
    def errors(self) -> Tensor:
        """How unlikely data is, given its reconstruction: (n,)."""
        with self.grad_if_owned("encoder", "generator"):
            return self.game.observation(self.reconstruction, self.real)

    @lazy
    def reconstruction_features(self) -> Tensor:
        """The critic's features of the reconstructions: (n, num_features)."""
        with self.grad_if_owned(self.critic_name, "encoder", "generator"):
            return self.features(self.reconstruction)

    @lazy
    def reconstruction_scores(self) -> Tensor:
        """The critic's scores of the reconstructions: (n,)."""
        with self.grad_if_owned(self.critic_name, "encoder", "generator"):
            return self.score(self.reconstruction_features, self.reconstruction)

    @lazy
    def code_features(self) -> Tensor:
        """What a discriminator of codes beside their data makes of the data: (n, num_features)."""
        with self.grad_if_owned("code_discriminator"):
            return self.networks["code_discriminator"].features(self.real)  # type: ignore[operator]

    @lazy
    def code_scores(self) -> Tensor:
        """The code discriminator's scores of codes: (n,)."""
        with self.grad_if_owned("code_discriminator", "encoder"):
            return self.score_codes(self.codes)

    @lazy
    def prior_scores(self) -> Tensor:
        """The code discriminator's scores of draws from the prior: (n,)."""
        with self.grad_if_owned("code_discriminator"):
            return self.score_codes(self.noise)

    def score_codes(self, z: Tensor) -> Tensor:
        """The code discriminator's scores of any codes (n, latent_dim), beside the data if it looks at them: (n,)."""
        code_critic = self.networks["code_discriminator"]
        if self.game.codes_beside_data:
            return code_critic.score(self.code_features, self.real, z)  # type: ignore[operator]
        return code_critic(z)


class BidirectionalTurn(EncodingTurn):
    """Pairs are judged: data beside its codes, fakes beside what they were made from."""

    @property
    def real_critic_inputs(self) -> tuple[Tensor, ...]:
        """Data (n, *shape), and codes (n, latent_dim) drawn for it."""
        return self.real, self.codes

    @property
    def fake_critic_inputs(self) -> tuple[Tensor, ...]:
        """Fakes (n, *shape), and the noise (n, latent_dim) that they were made from."""
        return self.fake, self.noise

    @lazy
    def real_scores(self) -> Tensor:
        """Scores of data beside codes drawn for it: (n,)."""
        with self.grad_if_owned(self.critic_name, "encoder"):
            return self.networks[self.critic_name].score(self.real_features, *self.real_critic_inputs)  # type: ignore[operator]

    @lazy
    def fake_scores(self) -> Tensor:
        """Scores of fakes beside their noise: (n,)."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.networks[self.critic_name].score(self.fake_features, *self.fake_critic_inputs)  # type: ignore[operator]

    def critic(self, x: Tensor, *codes: Tensor) -> Tensor:
        """Scores (n,) of any data (n, *shape) beside codes (n, latent_dim)."""
        return self.networks[self.critic_name].score(self.features(x), x, *codes)  # type: ignore[operator]


@dataclass(frozen=True)
class Encoding(GAN):
    """Generator and encoder.

    Args:
        latent: the prior p(z).
        critic: the network that scores data, if one does.
    """

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it: reference batches, output biases."""
        real = data.real(n)
        noise = self.latent(len(real), real.device)
        inputs = {"generator": (noise, real), "encoder": (real, real), **self.critic_inputs(real, noise)}
        for name, batches in inputs.items():
            if name in networks:
                networks[name].prepare(*batches)  # type: ignore[operator]

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """What each network that scores is prepared by, of data (n, *shape) and noise (n, latent_dim)."""
        return {self.critic: (real, real)}

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Where somebody judges."""
        return self.critic in networks

    def encodes(self, networks: Mapping[str, nn.Module]) -> bool:
        """Where there is an encoder."""
        return "encoder" in networks

    def encode(self, networks: Mapping[str, nn.Module], x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape)."""
        return networks["encoder"](x)


@dataclass(frozen=True)
class Autoencoding(Encoding):
    """A generator, an encoder, and whoever of two discriminators the choice of terms needs.

    Args:
        latent: the prior p(z).
        critic: the network that scores data, if one does.
        observation: p(x|z), around what the generator makes of z.
        codes_beside_data: whether the discriminator of codes sees the data that they are codes of.
    """

    observation: Observation = field(default_factory=Laplace)
    codes_beside_data: bool = False

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> AutoencodingTurn:
        """What the player that owns `owned` sees of this batch."""
        return AutoencodingTurn(self, networks, owned, batch)

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """What each network that scores is prepared by, of data (n, *shape) and noise (n, latent_dim)."""
        codes = (real, real, noise) if self.codes_beside_data else (noise, real)
        return {self.critic: (real, real), "code_discriminator": codes}


@dataclass(frozen=True)
class Bidirectional(Encoding):
    """Generator and encoder against a discriminator of pairs (x, z).

    Adversarially learned inference (Dumoulin et al. 2017, arXiv:1606.00704) with a Gaussian encoder, which draws;
    BiGAN (Donahue et al. 2017, arXiv:1605.09782) with a deterministic one.
    """

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> BidirectionalTurn:
        """What the player that owns `owned` sees of this batch."""
        return BidirectionalTurn(self, networks, owned, batch)

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """What each network that scores is prepared by, of data (n, *shape) and noise (n, latent_dim)."""
        return {self.critic: (real, real, noise)}

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Never: a score is of a point beside a code."""
        return False

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of samples x (n, *shape), each beside the row (n, latent_dim) that made it."""
        return networks[self.critic](x, rows)
