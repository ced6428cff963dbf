"""Rejection sampling and importance weights by the density ratio that the critic implies.

If the ratio is exact, accepted or weighted samples follow the density of the data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.datasets.base import derive_seed
from gan_runner.errors import ConfigError
from gan_runner.games.base import HasCritic
from gan_runner.sampling.critic import extra_fakes, identifies, score
from gan_runner.system import System
from gan_runner.tools.activity import Activity

BURN_IN = 10_000
"""Number of samples for the initial estimate of the maximal ratio, as in the paper."""

CHUNK = 1_000
"""Samples drawn at a time."""

LIMIT = 20.0
"""Log ratios are clamped to ± this limit, since some losses imply infinite ones (least squares beyond its targets)."""

PATIENCE = 1_000_000
"""Maximal number of samples to draw."""


def log_ratio(system: System, samples: Tensor, rows: Tensor) -> Tensor:
    """Return log p/q (n,) of samples (n, *shape) that the critic implies; for some losses up to a constant.

    q is the density that the critic was trained on: that of the generator itself, not of its moving average, with
    augmentation included. A conditional critic scores each sample with the condition in its latents `rows` (n, …). As
    conditions are drawn as in the data, the conditional ratio equals the joint ratio of sample and condition. Other
    pairs that a method treats as fakes (cls) are part of q. A critic of pairs (sample, latent) gives the joint ratio;
    samples weighted by it follow the data.

    Raises:
        ConfigError: there is no critic, the critic also scores other fakes, or the loss identifies no ratio.
    """
    if system.loss is None or not isinstance(system.game, HasCritic):
        raise ConfigError(
            "--reject and --weigh need a critic of samples, and this run has none; train with one, such as game=gan or "
            "likelihood=[observer,synthetic]"
        )
    if extra_fakes(system):
        raise ConfigError(
            f"this run's critic is also trained on {extra_fakes(system)}, so its density ratio is not that of samples; "
            "train without them, for example with likelihood=[observer,synthetic]"
        )
    known = identifies(system) or "nothing"
    if known not in ("ratio", "relative"):
        raise ConfigError(
            f"the critic of {type(system.loss).__name__} identifies a {known}, not a density ratio; train with a loss "
            "such as non_saturating, lsgan or fgan_kl"
        )
    return system.loss.log_ratio(score(system, samples, rows)).clamp(-LIMIT, LIMIT)


def acceptance_logit(log_ratio: Tensor, ceiling: Tensor, gamma: float) -> Tensor:
    """Return the logit (n,) of the acceptance probability (Azadi et al. 2019, arXiv:1810.06758, Eq. 8).

    F(x) = l − l_max − log(1 − exp(l − l_max)) − γ. With γ = 0 the probability is exp(l − l_max), which is rejection
    sampling; a larger γ accepts fewer samples.
    """
    below = (log_ratio - ceiling).clamp(max=-1e-6)
    return below - torch.log(-below.expm1()) - gamma


def rejection_samples(system: System, n: int, seed: int, gamma: float = 0.0) -> tuple[Tensor, float]:
    """Return n accepted samples (n, *shape) and the acceptance rate.

    The maximal ratio is estimated from 10,000 samples and increased when a sample exceeds it.

    Raises:
        ConfigError: the critic implies no ratio, or almost no sample is accepted.
    """
    rows = system.noise(BURN_IN, derive_seed(seed, 0))
    ceiling = log_ratio(system, system.sample(rows), rows).max()
    luck = torch.Generator().manual_seed(seed)
    accepted: list[Tensor] = []
    drawn = kept = 0
    with Activity("accepting samples", n, "samples") as activity:
        while kept < n:
            if drawn >= PATIENCE:
                raise ConfigError(
                    f"only {kept} of {drawn} samples were accepted; choose a smaller --gamma than {gamma:g}"
                )
            rows = system.noise(CHUNK, derive_seed(seed, drawn // CHUNK + 1))
            samples = system.sample(rows)
            ratios = log_ratio(system, samples, rows)
            ceiling = torch.maximum(ceiling, ratios.max())
            chance = acceptance_logit(ratios, ceiling, gamma).sigmoid().cpu()
            accepted.append(samples[(torch.rand(CHUNK, generator=luck) < chance).to(samples.device)])
            drawn, kept = drawn + CHUNK, kept + len(accepted[-1])
            activity.done = kept
    return torch.cat(accepted)[:n], kept / drawn


def importance_weights(system: System, samples: Tensor, rows: Tensor) -> Tensor:
    """Return importance weights (n,) ∝ p/q, which sum to one, of samples (n, *shape) from latents `rows` (n, …).

    Raises:
        ConfigError: the critic implies no ratio.
    """
    return log_ratio(system, samples, rows).double().softmax(0)


def effective_sample_size(weights: Tensor) -> float:
    """Return the effective sample size 1 / Σ w² (Kong 1992)."""
    return 1 / weights.square().sum().item()
