"""Moment matching: a generator without an adversary.

Generative moment matching networks (Li et al. 2015, arXiv:1502.02761), which are also MMD nets (Dziugaite et al. 2015,
arXiv:1505.03906): the generator descends a distance between a batch of data and a batch of fakes. On images that
distance says more between codes than between pixels (Li et al., Section 4), so a second game trains an autoencoder
beside a generator of codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data
from gan_runner.games.gan import FromLatents, GenerativeTurn
from gan_runner.turn import Batch, lazy


class MomentMatchingTurn(Protocol):
    """What terms of features look at, such as a distance between samples."""

    @property
    def real_features(self) -> Tensor:
        """Of the data: (n, dim)."""

    @property
    def fake_features(self) -> Tensor:
        """Of the fakes: (n, dim)."""


class ReconstructingTurn(Protocol):
    """What a term of reconstructions looks at."""

    @property
    def errors(self) -> Tensor:
        """How far each of the data is from its reconstruction: (n,)."""


class DataTurn(GenerativeTurn):
    """Features are the numbers of a sample, as they are."""

    @lazy
    def real_features(self) -> Tensor:
        """The data: (n, elements)."""
        return self.real.flatten(1)

    @lazy
    def fake_features(self) -> Tensor:
        """The fakes: (n, elements)."""
        return self.fake.flatten(1)


class CodesTurn(GenerativeTurn):
    """Features are codes; the generator makes codes, and the autoencoder learns from the data alone."""

    logged = ("errors",)

    @lazy
    def real_features(self) -> Tensor:
        """Codes of the data: (n, code_dim)."""
        with self.grad_if_owned("autoencoder"):
            return self.networks["autoencoder"].features(self.real)  # type: ignore[operator]

    @lazy
    def fake_features(self) -> Tensor:
        """Generated codes: (n, code_dim)."""
        with self.grad_if_owned("code_generator"):
            return self.networks["code_generator"](self.noise)

    @lazy
    def fake(self) -> Tensor:
        """Generated data (n, *shape): decoded codes."""
        with self.grad_if_owned("code_generator", "autoencoder"):
            return self.networks["autoencoder"].decode(self.fake_features)  # type: ignore[operator]

    @lazy
    def errors(self) -> Tensor:
        """Reconstruction errors (n,) of the data."""
        with self.grad_if_owned("autoencoder"):
            return -self.networks["autoencoder"].score(self.real_features, self.real)  # type: ignore[operator]


@dataclass(frozen=True)
class MomentMatching(FromLatents):
    """A generator of data, alone."""

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> DataTurn:
        """What the player that owns `owned` sees of this batch."""
        return DataTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it."""
        real = data.real(n)
        networks["generator"].prepare(self.latent(len(real), real.device), real)  # type: ignore[operator]

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Generated data (n, *shape) for given latents (n, latent_dim)."""
        return networks["generator"](noise)


@dataclass(frozen=True)
class MomentMatchingCodes(FromLatents):
    """A generator of codes beside an autoencoder of the data."""

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> CodesTurn:
        """What the player that owns `owned` sees of this batch."""
        return CodesTurn(self, networks, owned, batch)

    @torch.no_grad()
    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise from n of the data what depends on it."""
        real = data.real(n)
        networks["autoencoder"].prepare(real, real)  # type: ignore[operator]
        codes = networks["autoencoder"].features(real)  # type: ignore[operator]
        networks["code_generator"].prepare(self.latent(len(real), real.device), codes)  # type: ignore[operator]

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Decoded codes (n, *shape) for given latents (n, latent_dim)."""
        return networks["autoencoder"].decode(networks["code_generator"](noise))  # type: ignore[operator]
