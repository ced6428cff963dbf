"""InfoGAN (Chen et al. 2016, arXiv:1606.03657): a GAN with codes that can be inferred from its samples.

The generator takes codes c beside its noise z. A network Q infers them from the critic's features of the fakes, and its
log likelihood bounds the mutual information I(c; G(z, c)) from below (Eq. 5). In `conf/game/infogan.yaml` generator,
critic and Q all maximise the bound by the term `mutual_information`, as in the authors' code; in
`conf/game/gan_with_codes.yaml` only Q does, as a player of its own that does not influence the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset, independent
from gan_runner.games.gan import CPU, GAN, GANTurn, scored
from gan_runner.models.codes import Code, Codes
from gan_runner.models.layers.conditioning import Conditioned
from gan_runner.models.networks import Discriminator, takes_condition
from gan_runner.requirements import Requirement
from gan_runner.tools import per_sample
from gan_runner.turn import Batch, lazy


class InfoGANTurn(GANTurn):
    """A GAN's turn with Q's estimate of the mutual information. Rows of the noise are [z | c]."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return super().symbols | scored("G(z, c)")

    @lazy
    def noise(self) -> Tensor:
        """Latents and codes (n, latent_dim + codes), on the device of the data."""
        return per_sample.draw(lambda n: self.game.rows(n, self.real.device), len(self.real))

    @lazy
    def information(self) -> dict[str, Tensor]:
        """L_I of each code by name, scalars in nats, with a graph to the owned ones of Q, critic and generator."""
        with self.grad_if_owned(self.critic_name, "q", "generator"):
            outputs = self.networks["q"](self.fake_features)
            return self.game.joint.information(outputs, self.game.codes_in(self.noise))


@dataclass(frozen=True)
class InfoGAN(GAN):
    """Generator against discriminator, with Q, which infers the generator's codes from its samples.

    Args:
        codes: the codes by name, independent of each other and of z.
    """

    codes: Mapping[str, Code] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Codes(self.codes)

    @lazy
    def joint(self) -> Codes:
        """All codes as one vector."""
        return Codes(self.codes)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Check Q, the discriminator and the generator."""
        return (self.check,)

    def check(self, networks: Mapping[str, nn.Module]) -> None:
        """Raise ValueError without Q, without an unconditional discriminator, or if the generator takes no codes."""
        critic = networks.get(self.critic)
        if "q" not in networks or not isinstance(critic, Discriminator):
            raise ValueError(
                "Q infers codes from a discriminator's features, so the game needs a discriminator and a player that "
                "owns q; choose a loss with a discriminator"
            )
        if isinstance(critic.head[-1], Conditioned):
            raise ValueError(
                "this game does not condition its discriminator on labels, as method= would; leave out method=, or "
                "choose game=conditional"
            )
        if not takes_condition(networks["generator"]):
            raise ValueError("model.generator takes no codes; choose model=mlp, maxout, dcgan, resnet or infogan")

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """The length of the codes, for the generator, and the number of parameters of q(c|x), for Q."""
        return {"condition_dim": self.joint.dim, "num_parameters": self.joint.num_parameters}

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> InfoGANTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return InfoGANTurn(self, networks, owned, batch)

    def rows(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n latents, each followed by codes: (n, latent_dim + codes)."""
        return torch.cat([self.latent(n, device, rng), self.joint.draw(n, device, rng and independent(rng))], 1)

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Latents, each followed by codes, for n samples: (n, latent_dim + codes)."""
        return self.rows(n, CPU, rng)

    def codes_in(self, rows: Tensor) -> Tensor:
        """The codes (n, codes) of rows (n, latent_dim + codes)."""
        return rows[:, self.latent.dim :]

    def traversal(self, rows: Tensor, name: str, k: int) -> Tensor:
        """Each row with one code set to all its m values and the rest unchanged: (n · m, latent_dim + codes).

        Raises:
            ValueError: there is no such code.
        """
        codes = self.joint.traversal(self.codes_in(rows), name, k)
        latents = rows[:, : self.latent.dim].repeat_interleave(len(codes) // len(rows), 0)
        return torch.cat([latents, codes], 1)

    @torch.no_grad()
    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples."""
        real = data.real(n)
        networks["generator"].prepare(self.rows(len(real), real.device), real)  # type: ignore[operator]
        networks[self.critic].prepare(real, real)  # type: ignore[operator]
        networks["q"].prepare(networks[self.critic].features(real), real)  # type: ignore[operator]

    def infer_codes(self, networks: Mapping[str, nn.Module], x: Tensor) -> Tensor:
        """Parameters (n, num_parameters) of q(c|x) for samples (n, *shape)."""
        return networks["q"](networks[self.critic].features(x))  # type: ignore[operator]
