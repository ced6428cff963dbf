"""InfoGAN (Chen et al. 2016, arXiv:1606.03657): codes that the samples must tell.

The generator is fed codes c beside its noise z. A network Q reads them off the critic's features of the fakes, and what
it gets right bounds the mutual information I(c; G(z, c)) from below (Eq. 5). Who moves for it is said by who owns Q and
who descends the term `mutual_information`: in `conf/game/infogan.yaml` all do, as in the authors' code; in
`conf/game/gan_with_codes.yaml` Q is a player of its own, which looks on and steers nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.games.gan import CPU, GAN, GANTurn
from gan_runner.models.codes import Code, Codes
from gan_runner.models.layers.conditioning import Conditioned
from gan_runner.models.networks import Discriminator, takes_condition
from gan_runner.requirements import Requirement
from gan_runner.tools import per_sample
from gan_runner.turn import Batch, lazy


class InfoGANTurn(GANTurn):
    """Also what Q makes of the fakes. The noise has rows [z | c]."""

    @lazy
    def noise(self) -> Tensor:
        """Latents and codes (n, latent_dim + codes), on the device of the data."""
        return per_sample.draw(lambda n: self.game.rows(n, self.real.device), len(self.real))

    @lazy
    def information(self) -> dict[str, Tensor]:
        """L_I of each code by name, scalars in nats; with a graph to Q, the critic and the generator, by who moves."""
        with self.grad_if_owned(self.critic_name, "q", "generator"):
            outputs = self.networks["q"](self.fake_features)
            return self.game.joint.information(outputs, self.game.codes_in(self.noise))


@dataclass(frozen=True)
class InfoGAN(GAN):
    """Generator against discriminator, and Q, which reads the generator's codes off its samples.

    Args:
        codes: by name, independent of each other and of z.
    """

    codes: Mapping[str, Code] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Codes(self.codes)

    @lazy
    def joint(self) -> Codes:
        """All codes side by side."""
        return Codes(self.codes)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A discriminator, and Q on it."""
        return (self.check,)

    def check(self, networks: Mapping[str, nn.Module]) -> None:
        """Raise ValueError if nobody owns Q, there are no features of a discriminator, or it wants a condition."""
        critic = networks.get(self.critic)
        if "q" not in networks or not isinstance(critic, Discriminator):
            raise ValueError(
                "codes are read off a discriminator's features by q, which a player must own; "
                "choose a loss with a discriminator"
            )
        if isinstance(critic.head[-1], Conditioned):
            raise ValueError(
                "a method tells the discriminator labels, and in this game it finds out codes; leave out method=, or "
                "choose game=conditional"
            )
        if not takes_condition(networks["generator"]):
            raise ValueError("model.generator takes no codes; choose model=mlp, maxout, dcgan, resnet or infogan")

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """What networks are told: the generator of the codes' length, Q of how much it has to say."""
        return {"condition_dim": self.joint.dim, "num_parameters": self.joint.num_parameters}

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> InfoGANTurn:
        """What the player that owns `owned` sees of this batch."""
        return InfoGANTurn(self, networks, owned, batch)

    def rows(self, n: int, device: torch.device, rng: torch.Generator | None = None) -> Tensor:
        """Draw n latents, and codes beside them: (n, latent_dim + codes)."""
        return torch.cat([self.latent(n, device, rng), self.joint.draw(n, device, rng)], 1)

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Rows to sample from: (n, latent_dim + codes)."""
        return self.rows(n, CPU, rng)

    def codes_in(self, rows: Tensor) -> Tensor:
        """The codes (n, codes) of rows (n, latent_dim + codes)."""
        return rows[:, self.latent.dim :]

    def traversal(self, rows: Tensor, name: str, k: int) -> Tensor:
        """Each row with one code at all its m values, and everything else as it is: (n · m, latent_dim + codes).

        Raises:
            ValueError: there is no such code.
        """
        shown = self.joint.traversal(self.codes_in(rows), name, k)
        latents = rows[:, : self.latent.dim].repeat_interleave(len(shown) // len(rows), 0)
        return torch.cat([latents, shown], 1)

    @torch.no_grad()
    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it."""
        real = data.real(n)
        networks["generator"].prepare(self.rows(len(real), real.device), real)  # type: ignore[operator]
        networks[self.critic].prepare(real, real)  # type: ignore[operator]
        networks["q"].prepare(networks[self.critic].features(real), real)  # type: ignore[operator]

    def infer_codes(self, networks: Mapping[str, nn.Module], x: Tensor) -> Tensor:
        """What Q says of the codes of any data (n, *shape): (n, num_parameters)."""
        return networks["q"](networks[self.critic].features(x))  # type: ignore[operator]
