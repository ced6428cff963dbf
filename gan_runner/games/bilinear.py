"""The bilinear game, min over x, max over y of E⟨x − a, y − b⟩: a minimal game in which gradient descent may diverge.

The generator is the point x, the discriminator the point y, and (a, b) are the two halves of a sample of the data. The
equilibrium is the mean of the data; with `dataset=point_mass` the game is deterministic, with noisy data stochastic.
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
    """The players' points x and y, and the value of the game there."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return {"value": "E[⟨x − a, y − b⟩]"}

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
    """Two points against each other. A sample of the game is the present pair (x, y), of length 2 · dim."""

    latent: ClassVar = Normal(0)
    """A prior without dimensions: samples are not random."""

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """No arguments."""
        return {}

    def noise(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> Tensor:
        """Empty rows (n, 0)."""
        return torch.empty(n, 0)

    def sample_grid(self, networks: Mapping[str, nn.Module], n: int, rng: torch.Generator) -> SampleGrid:
        """Empty rows for a square picture of n samples."""
        return SampleGrid(self.noise(networks, n, rng))

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> BilinearTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return BilinearTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Do nothing: the points do not depend on data."""

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """The present pair (x, y), once for each row of noise: (n, 2 · dim)."""
        return torch.cat([networks["generator"](), networks["discriminator"]()]).repeat(len(noise), 1)

    def has_unconditional_critic(self, networks: Mapping[str, nn.Module]) -> bool:
        """True: the value of the game is defined at every point."""
        return True

    @torch.no_grad()
    def score(self, networks: Mapping[str, nn.Module], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """⟨x, y⟩ (n,) of any points (n, 2 · dim): the value of the game if its equilibrium is the origin."""
        first, second = x.chunk(2, 1)
        return (first * second).sum(1)
