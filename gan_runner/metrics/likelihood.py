"""Log-likelihood of held-out data under a generator with a known density."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import HasDensity, Split, evaluation_split
from gan_runner.datasets.images import bits, dequantised
from gan_runner.metrics.base import Positive, metric
from gan_runner.metrics.classification import resolve_split
from gan_runner.metrics.results import Results
from gan_runner.models.latents import Normal
from gan_runner.models.sizes import at_least_one
from gan_runner.sampling.inference import log_prob

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_density(system: System) -> None:
    """Require a generator with a density, and latents N(0, I)."""
    if not isinstance(system.networks.get("generator"), HasDensity):
        raise ValueError("it needs a generator with a known density; choose model=real_nvp, or leave it out")
    if not isinstance(system.game.latent, Normal):
        raise ValueError("it needs latents N(0, I), and this game has other latents; leave it out")


def held_out(results: Results) -> Split:
    """Return the split on which densities are measured: test, else validation, else train."""
    return resolve_split(results.dataset, None, results.reference.selecting)


def density_inputs(results: Results, n: int, seed: int) -> Iterator[Tensor]:
    """Yield at most n held-out samples in chunks (k, *shape), as input for a density.

    Images are dequantised, with noise that depends only on the seed.
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
def bits_per_dimension(results: Results, n: Positive = 10000, draws: Positive = 1, seed: int = 0) -> dict[str, float]:
    """−E log₂ p(x) / D on held-out data, where D is the dimension of a sample; with averaged weights if there are any.

    For images, this is an upper bound on the bits per byte of the discrete model, by uniform dequantisation (Theis et
    al. 2016, arXiv:1511.01844, Section 3.1). For points, it may be negative.

    Args:
        results: results of a generator with a density.
        n: maximal number of held-out samples.
        draws: draws of the dequantisation noise per image.
        seed: seed of the noise.

    Raises:
        ValueError: n or draws is below one.
    """
    at_least_one(n=n, draws=draws)
    log_probs = [
        log_prob(results.system, x).double()
        for draw in range(draws if results.dataset.bounded else 1)
        for x in density_inputs(results, n, (seed + draw) % 2**64)
    ]
    nats = -torch.cat(log_probs).mean() / results.noise.shape[1]
    return {"bits_per_dimension": bits(nats, results.dataset.bounded).item()}
