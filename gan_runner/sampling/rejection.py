"""Samples weighed by the density ratio that the critic implies: where it is right, they follow the data's density."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_runner.datasets.base import derive_seed
from gan_runner.errors import ConfigError
from gan_runner.games.base import HasCritic
from gan_runner.sampling.critic import extra_fakes, identifies, score
from gan_runner.system import System

BURN_IN = 10_000
"""Samples whose greatest ratio is the first guess of the greatest of all, as in the paper."""

CHUNK = 1_000
"""Samples drawn at a time."""

LIMIT = 20.0
"""Log ratios are cut to ±this: where a loss implies infinite ones, such as least squares beyond its targets."""

PATIENCE = 1_000_000
"""Samples drawn before rejection gives up."""


def log_ratio(system: System, samples: Tensor, rows: Tensor) -> Tensor:
    """log p/q (n,) of samples (n, *shape), as the critic implies it; for some losses up to a constant.

    It is the ratio that the critic was trained to know: to the generator itself, not to a moving average of it, and of
    what it sees in training, augmentation included. A critic that is told conditions judges each sample beside that of
    its row in `rows` (n, …), which it was made from: since conditions are drawn as the data has them, the ratio of the
    densities beside a condition is that of sample and condition together. Other pairs that a method counts as fakes
    (cls) are then among q. A critic of pairs judges each sample beside its latent: its ratio is that of both together,
    and what is weighed by it, latents left aside, follows the data.

    Raises:
        ConfigError: nobody judges samples, the critic judges other fakes, too, or the run's loss identifies no ratio.
    """
    if system.loss is None or not isinstance(system.game, HasCritic):
        raise ConfigError(
            "--reject and --weigh go by a critic of samples, and in this run nobody judges them; train with one, such "
            "as game=gan or likelihood=[observer,synthetic]"
        )
    if extra_fakes(system):
        raise ConfigError(
            f"this run's critic tells {extra_fakes(system)} from data beside samples, so its ratio is not the one that "
            "weighs samples; train without them, such as likelihood=[observer,synthetic]"
        )
    known = identifies(system) or "nothing"
    if known not in ("ratio", "relative"):
        raise ConfigError(
            f"the critic of {type(system.loss).__name__} identifies a {known}, not the ratio that weighs samples; "
            "train with a loss such as non_saturating, lsgan or fgan_kl"
        )
    return system.loss.log_ratio(score(system, samples, rows)).clamp(-LIMIT, LIMIT)


def acceptance_logit(log_ratio: Tensor, ceiling: Tensor, gamma: float) -> Tensor:
    """The logit (n,) of the probability to accept (Azadi et al. 2019, arXiv:1810.06758, Eq. 8).

    F(x) = l − l_max − log(1 − exp(l − l_max)) − γ. With γ = 0 the probability is exp(l − l_max), which is rejection
    sampling; a greater γ accepts fewer and stricter, a smaller one more.
    """
    below = (log_ratio - ceiling).clamp(max=-1e-6)
    return below - torch.log(-below.expm1()) - gamma


def rejection_samples(system: System, n: int, seed: int, gamma: float = 0.0) -> tuple[Tensor, float]:
    """n accepted samples (n, *shape), and the share that was accepted.

    The greatest ratio is that of 10,000 samples, raised whenever a greater one is seen.

    Raises:
        ConfigError: the loss identifies no ratio, or next to nothing is accepted.
    """
    rows = system.noise(BURN_IN, derive_seed(seed, 0))
    ceiling = log_ratio(system, system.sample(rows), rows).max()
    luck = torch.Generator().manual_seed(seed)
    accepted: list[Tensor] = []
    drawn = kept = 0
    while kept < n:
        if drawn >= PATIENCE:
            raise ConfigError(f"only {kept} of {drawn} samples were accepted; choose a smaller --gamma than {gamma:g}")
        rows = system.noise(CHUNK, derive_seed(seed, drawn // CHUNK + 1))
        samples = system.sample(rows)
        ratios = log_ratio(system, samples, rows)
        ceiling = torch.maximum(ceiling, ratios.max())
        chance = acceptance_logit(ratios, ceiling, gamma).sigmoid().cpu()
        accepted.append(samples[(torch.rand(CHUNK, generator=luck) < chance).to(samples.device)])
        drawn, kept = drawn + CHUNK, kept + len(accepted[-1])
    return torch.cat(accepted)[:n], kept / drawn


def importance_weights(system: System, samples: Tensor, rows: Tensor) -> Tensor:
    """Weights (n,) of samples (n, *shape) made from rows (n, …), in proportion to p/q and of sum one.

    Raises:
        ConfigError: the loss identifies no ratio.
    """
    return log_ratio(system, samples, rows).double().softmax(0)


def effective_sample_size(weights: Tensor) -> float:
    """1 / Σ w²: how many equal weights are worth as much (Kong 1992)."""
    return 1 / weights.square().sum().item()
