"""Generator and encoder: variational autoencoders, adversarial autoencoders, and their combinations.

All minimise a bound on −log p(x): the negative log likelihood of data given its code, plus the divergence of codes from
the prior. Rosca et al. 2017, arXiv:1706.04987, Table 1, classify them by two choices. The *likelihood* is that of an
observation model (a distance between data and reconstruction), or a density ratio estimated by a discriminator, or
both. The divergence from the *prior* is a closed form, an approximation, or a density ratio estimated by a
discriminator of codes. Each choice is a set of terms: see `conf/likelihood/` and `conf/prior/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from gan_runner.datasets.base import Data
from gan_runner.games.gan import GAN, GANTurn
from gan_runner.models.encoders import Posterior
from gan_runner.models.observation import Laplace, Observation
from gan_runner.tools.formulas import Score, Symbols, write
from gan_runner.turn import Batch, lazy


class EncodingTurn(GANTurn):
    """A GAN's turn with codes of real samples and of fakes."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return super().symbols | {"codes": "E(x)", "fake_codes": "E(G(z))"}

    @lazy
    def posterior(self) -> Posterior:
        """q(z|x) of the real samples."""
        with self.grad_if_owned("encoder"):
            return self.networks["encoder"](self.real)

    @property
    def codes(self) -> Tensor:
        """A draw from q(z|x) for each real sample: (n, latent_dim)."""
        return self.posterior.codes

    @lazy
    def fake_codes(self) -> Tensor:
        """A draw from q(z|x) for each fake: (n, latent_dim)."""
        with self.grad_if_owned("encoder", "generator"):
            return self.networks["encoder"](self.fake).codes


class AutoencodingTurn(EncodingTurn):
    """A turn with codes, reconstructions, and a discriminator's scores of codes."""

    logged = (*GANTurn.logged, "errors", "reconstruction_scores", "code_scores", "prior_scores")

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        beside = ["x"] if self.game.codes_beside_data else []
        return super().symbols | {
            "reconstruction": "G(E(x))",
            "errors": write(self.game.observation, Symbols(real="x", reconstruction="G(E(x))")),
            "reconstruction_features": "f(G(E(x)))",
            "reconstruction_scores": Score("D", "G(E(x))"),
            "code_scores": Score("C", *beside, "E(x)"),
            "prior_scores": Score("C", *beside, "z"),
        }

    @lazy
    def reconstruction(self) -> Tensor:
        """G(z) for z ~ q(z|x): (n, *shape)."""
        with self.grad_if_owned("encoder", "generator"):
            return self.networks["generator"](self.codes)

    @lazy
    def errors(self) -> Tensor:
        """Negative log likelihoods of the real samples given their reconstructions: (n,)."""
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
        """Features of the real samples, by a code discriminator that also sees the samples: (n, num_features)."""
        with self.grad_if_owned("code_discriminator"):
            return self.networks["code_discriminator"].features(self.real)

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
        """The code discriminator's scores (n,) of codes (n, latent_dim); a joint one also sees the real samples."""
        code_critic = self.networks["code_discriminator"]
        if self.game.codes_beside_data:
            return code_critic.score(self.code_features, self.real, z)
        return code_critic(z)


class BidirectionalTurn(EncodingTurn):
    """A turn in which pairs are scored: real samples with their codes, fakes with their noise."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        pairs = {"real": ("x", "E(x)"), "fake": ("G(z)", "z"), "between": ("x̂", "ẑ")}
        scores = {f"{kind}_scores": Score("D", *pair) for kind, pair in pairs.items()}
        inputs = {"real_inputs": "(x, E(x))", "fake_inputs": "(G(z), z)", "between": "(x̂, ẑ)"}
        return super().symbols | inputs | scores

    @property
    def real_critic_inputs(self) -> tuple[Tensor, ...]:
        """Real samples (n, *shape), and codes (n, latent_dim) drawn for them."""
        return self.real, self.codes

    @property
    def fake_critic_inputs(self) -> tuple[Tensor, ...]:
        """Fakes (n, *shape), and their noise (n, latent_dim)."""
        return self.fake, self.noise

    @lazy
    def real_scores(self) -> Tensor:
        """Scores of real samples with their codes: (n,)."""
        with self.grad_if_owned(self.critic_name, "encoder"):
            return self.networks[self.critic_name].score(self.real_features, *self.real_critic_inputs)

    @lazy
    def fake_scores(self) -> Tensor:
        """Scores of fakes with their noise: (n,)."""
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.networks[self.critic_name].score(self.fake_features, *self.fake_critic_inputs)

    def critic(self, x: Tensor, *codes: Tensor) -> Tensor:
        """Scores (n,) of pairs of samples (n, *shape) and codes (n, latent_dim)."""
        return self.networks[self.critic_name].score(self.features(x), x, *codes)


@dataclass(frozen=True)
class Encoding(GAN):
    """Generator and encoder.

    Args:
        latent: the prior p(z).
        critic: the name of the network that scores samples, if there is one.
    """

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples: reference batches, output biases."""
        real = data.real(n)
        noise = self.latent(len(real), real.device)
        inputs = {"generator": (noise, real), "encoder": (real, real), **self.critic_inputs(real, noise)}
        for name, batches in inputs.items():
            if name in networks:
                networks[name].prepare(*batches)  # type: ignore[operator]

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """Arguments of `prepare` of each network that scores, from data (n, *shape) and noise (n, latent_dim)."""
        return {self.critic: (real, real)}

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Whether there is a critic."""
        return self.critic in networks

    def encodes(self, networks: Mapping[str, nn.Module]) -> bool:
        """Whether there is an encoder."""
        return "encoder" in networks

    def encode(self, networks: Mapping[str, nn.Module], x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape)."""
        return networks["encoder"](x)


@dataclass(frozen=True)
class Autoencoding(Encoding):
    """A generator, an encoder, and the discriminators that the terms need: of samples, of codes, or both.

    Args:
        latent: the prior p(z).
        critic: the name of the network that scores samples, if there is one.
        observation: p(x|z), a distribution around the generator's output.
        codes_beside_data: whether the code discriminator also sees the data, and so scores pairs (x, z).
    """

    observation: Observation = field(default_factory=Laplace)
    codes_beside_data: bool = False

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> AutoencodingTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return AutoencodingTurn(self, networks, owned, batch)

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """Arguments of `prepare` of each network that scores, from data (n, *shape) and noise (n, latent_dim)."""
        codes = (real, real, noise) if self.codes_beside_data else (noise, real)
        return {self.critic: (real, real), "code_discriminator": codes}


@dataclass(frozen=True)
class Bidirectional(Encoding):
    """Generator and encoder against a discriminator of pairs (x, z).

    Adversarially learned inference (Dumoulin et al. 2017, arXiv:1606.00704) with a Gaussian encoder; BiGAN (Donahue et
    al. 2017, arXiv:1605.09782) with a deterministic one.
    """

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> BidirectionalTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return BidirectionalTurn(self, networks, owned, batch)

    def critic_inputs(self, real: Tensor, noise: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """Arguments of `prepare` of each network that scores, from data (n, *shape) and noise (n, latent_dim)."""
        return {self.critic: (real, real, noise)}

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """False: the critic scores pairs of a point and a code."""
        return False

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of samples x (n, *shape), each with the latent (n, latent_dim) it was made from."""
        return networks[self.critic](x, rows)
