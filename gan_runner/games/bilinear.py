"""The bilinear game, min over x, max over y of E⟨x − a, y − b⟩: the smallest in which descent may never arrive.

The generator is the point x, the discriminator the point y, and (a, b) are the two halves of a sample of the data. So
the equilibrium is the data's mean: with `dataset=point_mass` exactly its point, with noisy data the game is stochastic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.games.base import SampleGrid
from gan_runner.models.latents import Normal
from gan_runner.turn import Batch, Turn, lazy


class BilinearTurn(Turn):
    """Both points, and what the game is worth at them."""

    @lazy
    def x(self) -> Tensor:
        """The generator's point (dim,)."""
        with self.grad_if_owned("generator"):
            return self.networks["generator"]()

    @lazy
    def y(self) -> Tensor:
        """The discriminator's point (dim,)."""
        with self.grad_if_owned("discriminator"):
            return self.networks["discriminator"]()

    @lazy
    def value(self) -> Tensor:
        """E⟨x − a, y − b⟩ over the batch, a scalar: the generator's loss and the discriminator's gain."""
        a, b = self.batch["data"].chunk(2, 1)
        return ((self.x - a) * (self.y - b)).sum(1).mean()


@dataclass(frozen=True)
class Bilinear:
    """Two points against each other. A sample of the game is where they stand, (x, y) of length 2 · dim."""

    latent: ClassVar = Normal(0)
    """What samples are drawn from: nothing is random, so it has no dimensions."""

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """Points are told nothing."""
        return {}

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """(n, 0)."""
        return torch.empty(n, 0)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """As they come."""
        return SampleGrid(self.noise(networks, n, rng))

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> BilinearTurn:
        """What the player that owns `owned` sees of this batch."""
        return BilinearTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Nothing depends on data."""

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Where the players stand, as often as there are latents: (n, 2 · dim)."""
        return torch.cat([networks["generator"](), networks["discriminator"]()]).repeat(len(noise), 1)

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """Any points."""
        return True

    @torch.no_grad()
    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """⟨x, y⟩ (n,) of any points (n, 2 · dim): what the game is worth there, if its equilibrium is the origin."""
        first, second = x.chunk(2, 1)
        return (first * second).sum(1)
