"""Log-likelihood of held-out data, of a generator whose density is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import HasDensity, Split, evaluation_split
from gan_runner.datasets.images import bits, dequantised
from gan_runner.metrics.base import metric
from gan_runner.metrics.classification import resolve_split
from gan_runner.metrics.results import Results
from gan_runner.models.latents import Normal
from gan_runner.models.sizes import at_least_one
from gan_runner.sampling.inference import log_prob

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_density(system: System) -> None:
    """The generator must have a density, and its latents the prior that it is computed with."""
    if not isinstance(system.networks.get("generator"), HasDensity):
        raise ValueError("it needs a generator whose density is known; choose model=real_nvp, or leave it out")
    if not isinstance(system.game.latent, Normal):
        raise ValueError("densities are those of latents N(0, I), and this game draws others; leave it out")


def held_out(results: Results) -> Split:
    """The split that figures of densities are measured on: the first that there is of test, validation, train."""
    return resolve_split(results.dataset, None, results.reference.selecting)


def as_modelled(results: Results, n: int, seed: int) -> Iterator[Tensor]:
    """At most n of the held-out data, some (k, *shape) at a time, as densities are fitted to them.

    Images are dequantised, by the same noise for the same seed, whatever the device.
    """
    rng = torch.Generator().manual_seed(seed)
    for piece in results.reference.split(held_out(results)).chunks(n):
        if results.dataset.bounded:
            yield dequantised(piece, torch.rand(piece.shape, generator=rng).to(piece.device))
        else:
            yield piece


@metric(
    bits_per_dimension=min,
    requires=(needs_density,),
    conditions={"samples": None, "real": None, "split": evaluation_split},
)
def bits_per_dimension(results: Results, n: int = 10000, draws: int = 1, seed: int = 0) -> dict[str, float]:
    """−E log₂ p(x) / D on held-out data, D numbers making a sample, by averaged weights where there are any.

    Of images it is a bound on the bits that their bytes take by the model, the mean over noise in the bins of the bytes
    (Theis et al. 2016, arXiv:1511.01844, Section 3.1); of points it is that of their density, which may be negative.

    Args:
        results: whose generator's density is measured.
        n: data, at most.
        draws: of the noise, for images.
        seed: of the noise.

    Raises:
        ValueError: n or draws is below one.
    """
    at_least_one(n=n, draws=draws)
    log_probs = [
        log_prob(results.system, x).double()
        for draw in range(draws if results.dataset.bounded else 1)
        for x in as_modelled(results, n, seed + draw)
    ]
    nats = -torch.cat(log_probs).mean() / results.noise.shape[1]
    return {"bits_per_dimension": bits(nats, results.dataset.bounded).item()}
