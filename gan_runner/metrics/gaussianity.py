"""How far the codes of data are from the prior N(0, I) that samples are made from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import derive_seed, evaluation_split
from gan_runner.metrics.base import metric
from gan_runner.metrics.likelihood import held_out
from gan_runner.metrics.results import Results
from gan_runner.models.latents import Normal
from gan_runner.sampling.inference import draw_codes, encodes
from gan_runner.tools.precision import full_precision

if TYPE_CHECKING:
    from gan_runner.system import System

CRITICAL = 1.3581
"""The Kolmogorov distribution is below it in 95 % of all cases."""


def normal_distances(z: Tensor) -> Tensor:
    """How far the distribution function of every column of z (n, d) is from that of N(0, 1), at most: (d,)."""
    n = len(z)
    expected = torch.special.ndtr(z.sort(0).values)
    above = torch.arange(1, n + 1, device=z.device, dtype=z.dtype).unsqueeze(1) / n
    return torch.maximum(above - expected, expected - above + 1 / n).amax(0)


def rejected(z: Tensor) -> Tensor:
    """Which columns of z (n, d) a Kolmogorov–Smirnov test at 5 % does not take for draws from N(0, 1): (d,).

    By the Kolmogorov distribution with Stephens's correction for finite n (Stephens 1970, J. R. Stat. Soc. B 32, 115).
    """
    root = math.sqrt(len(z))
    return normal_distances(z) * (root + 0.12 + 0.11 / root) > CRITICAL


def figures_of(z: Tensor) -> dict[str, float]:
    """What is said of codes z (n, d), in float64: see `latent_gaussianity`."""
    z = z.double()
    n, dim = z.shape
    centred = z - z.mean(0)
    variance = centred.square().mean(0)
    kurtosis = centred.pow(4).mean(0) / variance.square().clamp(min=torch.finfo(z.dtype).tiny) - 3
    with full_precision(z):
        gram = centred.T @ centred if dim <= n else centred @ centred.T  # the same eigenvalues, but for zeros
    return {
        "latent_rejected": rejected(z).double().mean().item(),
        "latent_mean_square": z.square().mean().item(),
        "latent_excess_kurtosis": kurtosis.mean().item(),
        "latent_largest_variance": (torch.linalg.eigvalsh(gram)[-1] / n).item(),
    }


def needs_normal_latents(system: System) -> None:
    """Samples must be made from N(0, I)."""
    if not isinstance(system.game.latent, Normal):
        raise ValueError("it compares codes with latents N(0, I), and this game draws others; leave it out")


@metric(
    latent_rejected=min,
    requires=(encodes, needs_normal_latents),
    conditions={"samples": None, "real": None, "split": evaluation_split},
)
def latent_gaussianity(results: Results, n: int = 2000, seed: int = 0) -> dict[str, float]:
    """How Gaussian the codes of held-out data are, which for a likelihood are to be N(0, I) (Danihelka et al. 2017,
    arXiv:1705.05263, whose flows trained by a critic have codes that are not).

    Codes are draws of q(z|x), of which together, and not of their means, the prior is to be the distribution.

    `latent_rejected`: the share of dimensions that a Kolmogorov–Smirnov test at 5 % tells from N(0, 1); of N(0, I)
    about 0.05. `latent_mean_square`: E‖z‖² / d, of N(0, I) 1. `latent_excess_kurtosis`: its mean over dimensions, of
    N(0, I) 0. `latent_largest_variance`: along any direction, of N(0, I) at most (1 + √(d / n))² or so.

    Args:
        results: whose game has codes, by an encoder, or by a generator that has an inverse.
        n: data, at most.
        seed: of the draws.
    """
    pieces = results.reference.split(held_out(results)).chunks(n)
    return figures_of(
        torch.cat([draw_codes(results.system, x, derive_seed(seed, number)) for number, x in enumerate(pieces)])
    )
