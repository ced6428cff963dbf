"""Conditional GAN: generator and discriminator take a condition (Mirza & Osindero 2014, arXiv:1411.1784, Eq. 2).

Every fake is made for the condition of a real sample, and scored with it. The head of the discriminator
(`gan_runner.models.heads`) decides how the condition enters the score; terms decide what the networks learn about it:
`conf/method/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset, independent
from gan_runner.games.base import SampleGrid
from gan_runner.games.gan import CPU, GAN, GANTurn, scored
from gan_runner.models.conditions import condition_network
from gan_runner.models.networks import takes_condition
from gan_runner.requirements import Requirement
from gan_runner.turn import Batch, lazy


class ConditionalTurn(GANTurn):
    """A GAN's turn with the conditions of the real samples; one fake is made for each of them."""

    letter = "y"
    """How a condition is written in formulas."""

    meaning = "y: the label of x, given to the fake too"
    """The definition of the letter."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        beside = [self.letter] if self.networks[self.critic_name].needs_condition else []
        return super().symbols | scored(f"G(z, {self.letter})", *beside) | {"condition": self.letter}

    @lazy
    def condition(self) -> Tensor:
        """Conditions of the real samples: (n, condition_dim)."""
        with torch.no_grad():
            return self.networks["condition"](self.batch)

    @lazy
    def fake(self) -> Tensor:
        """Fakes (n, *shape), with a graph only in the generator's own turn."""
        with self.grad_if_owned("generator"):
            return self.networks["generator"](torch.cat([self.noise, self.condition], 1))

    def score(self, features: Tensor, x: Tensor) -> Tensor:
        """The discriminator's scores (n,) of samples `x` with these features, given the conditions of this turn."""
        return self.score_with(features, x, self.condition)

    def score_with(self, features: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        """The discriminator's scores (n,) of samples `x` with these features, given conditions (n, condition_dim)."""
        return self.networks[self.critic_name].score(features, x, condition)


def takes_conditions(networks: Mapping[str, nn.Module]) -> None:
    """Check that the generator takes a condition."""
    if not takes_condition(networks["generator"]):
        raise ValueError("model.generator takes no condition; choose model=mlp, maxout, dcgan or resnet")


def side_by_side(latents: Tensor, conditions: Tensor, captions: Sequence[str]) -> SampleGrid:
    """A picture of every latent (columns, latent_dim) with every condition (rows, condition_dim)."""
    rows, columns = len(conditions), len(latents)
    inputs = torch.cat([latents.repeat(rows, 1), conditions.repeat_interleave(columns, 0)], 1)
    return SampleGrid(inputs, columns, tuple(captions))


@dataclass(frozen=True)
class ConditionalGAN(GAN):
    """Generator against discriminator, both conditioned on labels.

    Args:
        latent: the prior p(z) of the generator's latents.
        critic: the name of the network that scores.
        fixed: networks that no player trains: the one that turns labels into conditions.
    """

    fixed: tuple[str, ...] = ("condition",)

    requirements: ClassVar[tuple[Requirement, ...]] = (takes_conditions,)

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> ConditionalTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return ConditionalTurn(self, networks, owned, batch)

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """The dataset's labels and the length of a condition.

        Raises:
            ValueError: the dataset has no labels.
        """
        if dataset.labels is None:
            raise ValueError(
                "a conditional GAN needs labels, and this dataset has none; choose one with classes, or game=gan"
            )
        return {"labels": dataset.labels, "condition_dim": dataset.labels.dim}

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples: stored conditions, reference batches, output biases."""
        condition_network(networks).prepare(data)
        first = data.first(n)
        real, condition = first["data"], networks["condition"](first)
        rows = torch.cat([self.latent(len(real), real.device), condition], 1)
        networks["generator"].prepare(rows, real)  # type: ignore[operator]
        networks[self.critic].prepare(real, real, condition)  # type: ignore[operator]

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """False where the critic takes the condition: it then scores pairs of a point and a condition."""
        return not networks[self.critic].needs_condition

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of samples x (n, *shape), each given the condition in its row (n, …)."""
        return networks[self.critic](x, None if rows is None else rows[:, self.latent.dim :])

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Latents, each followed by the condition of a training sample: (n, latent_dim + condition_dim)."""
        latents = super().noise(networks, n, rng)
        return torch.cat([latents, condition_network(networks).draw(n, independent(rng))], 1)

    def noise_like(self, networks: Mapping[str, nn.Module], data: Data, n: int, rng: torch.Generator) -> Tensor:
        """Latents, each followed by the condition of a sample of this data: (n, latent_dim + condition_dim)."""
        latents = super().noise(networks, n, rng)
        return torch.cat([latents, condition_network(networks).draw(n, independent(rng), data)], 1)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """A picture with one condition per row and one latent per column."""
        conditions, captions = condition_network(networks).examples(max(1, math.isqrt(n) + 2))
        columns = max(1, n // len(conditions))
        return side_by_side(self.latent(columns, CPU, rng), conditions, captions)
