"""Generator and discriminator are both told a condition (Mirza & Osindero 2014, arXiv:1411.1784, Eq. 2).

Every fake is made for the condition of one of the data, and judged beside it. How the discriminator takes the condition
in is said by its head (`gan_runner.models.heads`), what it learns of it by terms: `conf/method/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.games.base import SampleGrid
from gan_runner.games.gan import CPU, GAN, GANTurn
from gan_runner.models.conditions import condition_network
from gan_runner.models.networks import takes_condition
from gan_runner.requirements import Requirement
from gan_runner.turn import Batch, lazy


class ConditionalTurn(GANTurn):
    """Also the condition: that of each of the data, for which a fake is made."""

    @lazy
    def condition(self) -> Tensor:
        """(n, condition_dim)."""
        with torch.no_grad():
            return self.networks["condition"](self.batch)

    @lazy
    def fake(self) -> Tensor:
        """Generated data (n, *shape), with a graph only in the generator's own turn."""
        with self.grad_if_owned("generator"):
            return self.networks["generator"](torch.cat([self.noise, self.condition], 1))

    def score(self, features: Tensor, x: Tensor) -> Tensor:
        """The discriminator's scores (n,) of data `x` with these features, beside the conditions of this turn."""
        return self.score_with(features, x, self.condition)

    def score_with(self, features: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        """Scores (n,) of data `x` with these features, beside conditions (n, condition_dim)."""
        return self.networks[self.critic_name].score(features, x, condition)  # type: ignore[operator]


def takes_conditions(networks: Mapping[str, nn.Module]) -> None:
    """The generator must be told of conditions."""
    if not takes_condition(networks["generator"]):
        raise ValueError("model.generator takes no condition; choose model=mlp, maxout, dcgan or resnet")


def side_by_side(latents: Tensor, conditions: Tensor, captions: Sequence[str]) -> SampleGrid:
    """All latents (columns, latent_dim) beside all conditions (rows, condition_dim)."""
    rows, columns = len(conditions), len(latents)
    beside = torch.cat([latents.repeat(rows, 1), conditions.repeat_interleave(columns, 0)], 1)
    return SampleGrid(beside, columns, tuple(captions))


@dataclass(frozen=True)
class ConditionalGAN(GAN):
    """Generator against discriminator, both told a condition.

    Args:
        latent: the prior p(z) that the generator is fed from.
        critic: the network that scores.
        fixed: the network that makes conditions of batches, which nobody descends.
    """

    fixed: tuple[str, ...] = ("condition",)

    requirements: ClassVar[tuple[Requirement, ...]] = (takes_conditions,)

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> ConditionalTurn:
        """What the player that owns `owned` sees of this batch."""
        return ConditionalTurn(self, networks, owned, batch)

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """What labels mean, and how long a condition is.

        Raises:
            ValueError: the dataset has no labels.
        """
        if dataset.labels is None:
            raise ValueError("it is about labels, and this dataset has none; choose one with classes, or game=gan")
        return {"labels": dataset.labels, "condition_dim": dataset.labels.dim}

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it: reference batches, output biases; keep some conditions."""
        condition_network(networks).prepare(data)
        first = data.first(n)
        real, condition = first["data"], networks["condition"](first)
        rows = torch.cat([self.latent(len(real), real.device), condition], 1)
        networks["generator"].prepare(rows, real)  # type: ignore[operator]
        networks[self.critic].prepare(real, real, condition)  # type: ignore[operator]

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Not where the critic is told the condition: then a score is of a point beside one."""
        return not networks[self.critic].needs_condition

    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """The critic's scores (n,) of samples x (n, *shape), each beside the condition in its row (n, …)."""
        return networks[self.critic](x, None if rows is None else rows[:, self.latent.dim :])

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Latents, and beside each the condition of one of the training data: (n, latent_dim + condition_dim)."""
        latents = super().noise(networks, n, rng)
        return torch.cat([latents, condition_network(networks).draw(n, rng)], 1)

    def noise_like(self, networks: Mapping[str, nn.Module], data: Data, n: int, rng: torch.Generator) -> Tensor:
        """The same, with conditions of this data: (n, latent_dim + condition_dim)."""
        latents = super().noise(networks, n, rng)
        return torch.cat([latents, condition_network(networks).draw(n, rng, data)], 1)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """A condition a row, and in every column the same latent."""
        conditions, captions = condition_network(networks).examples(max(1, math.isqrt(n) + 2))
        columns = max(1, n // len(conditions))
        return side_by_side(self.latent(columns, CPU, rng), conditions, captions)
