"""How far the codes of data are from the prior N(0, I) of the latents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import derive_seed, evaluation_split
from gan_runner.metrics.base import TwoOrMore, metric
from gan_runner.metrics.likelihood import held_out
from gan_runner.metrics.results import Results
from gan_runner.models.latents import Normal
from gan_runner.sampling.inference import draw_codes, encodes
from gan_runner.tools.precision import full_precision

if TYPE_CHECKING:
    from gan_runner.system import System

CRITICAL = 1.3581
"""The 95 % quantile of the Kolmogorov distribution."""


def kolmogorov_distances(z: Tensor) -> Tensor:
    """Return the Kolmogorov distance between each column of z (n, d) and N(0, 1): (d,)."""
    n = len(z)
    expected = torch.special.ndtr(z.sort(0).values)
    above = torch.arange(1, n + 1, device=z.device, dtype=z.dtype).unsqueeze(1) / n
    return torch.maximum(above - expected, expected - above + 1 / n).amax(0)


def rejected(z: Tensor) -> Tensor:
    """Return for which columns of z (n, d) a Kolmogorov–Smirnov test at 5 % rejects N(0, 1): booleans (d,).

    The test uses Stephens's correction for finite n (Stephens 1970, J. R. Stat. Soc. B 32, 115).
    """
    root = math.sqrt(len(z))
    return kolmogorov_distances(z) * (root + 0.12 + 0.11 / root) > CRITICAL


def gaussianity(z: Tensor) -> dict[str, float]:
    """Return the values of `latent_gaussianity` for codes z (n, d), in float64."""
    z = z.double()
    n, dim = z.shape
    centred = z - z.mean(0)
    variance = centred.square().mean(0)
    kurtosis = centred.pow(4).mean(0) / variance.square().clamp(min=torch.finfo(z.dtype).tiny) - 3
    with full_precision(z):
        gram = centred.T @ centred if dim <= n else centred @ centred.T  # both have the same non-zero eigenvalues
    return {
        "latent_rejected": rejected(z).double().mean().item(),
        "latent_mean_square": z.square().mean().item(),
        "latent_excess_kurtosis": kurtosis.mean().item(),
        "latent_largest_variance": (torch.linalg.eigvalsh(gram)[-1] / n).item(),
    }


def needs_normal_latents(system: System) -> None:
    """Require latents N(0, I)."""
    if not isinstance(system.game.latent, Normal):
        raise ValueError("it needs latents N(0, I), and this game has other latents; leave it out")


@metric(
    latent_rejected=min,
    requires=(encodes, needs_normal_latents),
    conditions={"samples": None, "real": None, "split": evaluation_split},
)
def latent_gaussianity(results: Results, n: TwoOrMore = 2000, seed: int = 0) -> dict[str, float]:
    """How close the codes of held-out data are to N(0, I).

    Maximum likelihood leads to such codes; flows trained by a critic do not have them (Danihelka et al. 2017,
    arXiv:1705.05263). Codes are draws of q(z|x), not means, since their aggregate distribution should be the prior.

    - `latent_rejected`: share of dimensions where a Kolmogorov–Smirnov test at 5 % rejects N(0, 1); 0.05 for N(0, I).
    - `latent_mean_square`: E‖z‖² / d; 1 for N(0, I).
    - `latent_excess_kurtosis`: mean over dimensions; 0 for N(0, I).
    - `latent_largest_variance`: variance along the first principal axis; about (1 + √(d / n))² for N(0, I).

    Args:
        results: results of a game with an encoder or an invertible generator.
        n: maximal number of samples of the data.
        seed: seed of the draws.
    """
    chunks = results.reference.split(held_out(results)).chunks(n)
    return gaussianity(
        torch.cat([draw_codes(results.system, x, derive_seed(seed, number)) for number, x in enumerate(chunks)])
    )
