"""Moment matching: a generator without an adversary.

Generative moment matching networks (Li et al. 2015, arXiv:1502.02761), which are also MMD nets (Dziugaite et al. 2015,
arXiv:1505.03906): the generator minimises a distance between a batch of data and a batch of fakes. On images the
distance works better between codes than between pixels (Li et al., Section 4), so the second game trains an autoencoder
and a generator of its codes.
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
    """A turn with features of real samples and fakes, for terms such as a distance between samples."""

    @property
    def real_features(self) -> Tensor:
        """Features of the real samples: (n, dim)."""

    @property
    def fake_features(self) -> Tensor:
        """Features of the fakes: (n, dim)."""


class ReconstructingTurn(Protocol):
    """A turn with reconstructions of the real samples."""

    @property
    def errors(self) -> Tensor:
        """Reconstruction errors of the real samples: (n,)."""


class DataTurn(GenerativeTurn):
    """A turn in which the features of a sample are its own elements."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return super().symbols | {"real_features": "x", "fake_features": "G(z)"}

    @lazy
    def real_features(self) -> Tensor:
        """The real samples: (n, elements)."""
        return self.real.flatten(1)

    @lazy
    def fake_features(self) -> Tensor:
        """The fakes: (n, elements)."""
        return self.fake.flatten(1)


class CodesTurn(GenerativeTurn):
    """A turn in which features are codes: the generator makes codes, and the autoencoder is trained on data alone."""

    logged = ("errors",)

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        codes = {"real_features": "Enc(x)", "fake_features": "G(z)", "fake": "Dec(G(z))"}
        return super().symbols | codes | {"errors": "L(x)"}

    @lazy
    def real_features(self) -> Tensor:
        """Codes of the real samples: (n, code_dim)."""
        with self.grad_if_owned("autoencoder"):
            return self.networks["autoencoder"].features(self.real)

    @lazy
    def fake_features(self) -> Tensor:
        """Generated codes: (n, code_dim)."""
        with self.grad_if_owned("code_generator"):
            return self.networks["code_generator"](self.noise)

    @lazy
    def fake(self) -> Tensor:
        """Fakes (n, *shape): decoded codes."""
        with self.grad_if_owned("code_generator", "autoencoder"):
            return self.networks["autoencoder"].decode(self.fake_features)

    @lazy
    def errors(self) -> Tensor:
        """Reconstruction errors of the real samples: (n,)."""
        with self.grad_if_owned("autoencoder"):
            return -self.networks["autoencoder"].score(self.real_features, self.real)


@dataclass(frozen=True)
class MomentMatching(FromLatents):
    """A generator without an adversary."""

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> DataTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return DataTurn(self, networks, owned, batch)

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples."""
        real = data.real(n)
        networks["generator"].prepare(self.latent(len(real), real.device), real)  # type: ignore[operator]

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Samples (n, *shape) for latents (n, latent_dim)."""
        return networks["generator"](noise)


@dataclass(frozen=True)
class MomentMatchingCodes(FromLatents):
    """A generator of codes, and an autoencoder of the data."""

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> CodesTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return CodesTurn(self, networks, owned, batch)

    @torch.no_grad()
    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples."""
        real = data.real(n)
        networks["autoencoder"].prepare(real, real)  # type: ignore[operator]
        codes = networks["autoencoder"].features(real)  # type: ignore[operator]
        networks["code_generator"].prepare(self.latent(len(real), real.device), codes)  # type: ignore[operator]

    @torch.no_grad()
    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Samples (n, *shape) for latents (n, latent_dim): decoded codes."""
        return networks["autoencoder"].decode(networks["code_generator"](noise))  # type: ignore[operator]
