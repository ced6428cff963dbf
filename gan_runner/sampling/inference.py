"""Inference with a trained system: codes, reconstructions, classes and densities of data.

All functions use averaged weights if there are any, evaluation mode, and chunks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_runner.games.base import Classifies, Encodes, InfersCodes, Networks
from gan_runner.models.encoders import Invertible, Posterior
from gan_runner.system import System, eval_mode


@torch.no_grad()
def infer(
    system: System, function: Callable[[Networks, Tensor], Tensor], x: Tensor, seed: int = 0, chunk: int = 512
) -> Tensor:
    """Apply a function of networks and data to data x (n, *shape), in chunks: (n, …).

    Its random numbers depend only on the seed, and the run's own random state is unchanged.
    """
    networks = system.sampling_networks()
    own = [system.device] if system.device.type == "cuda" else []
    with eval_mode(networks), torch.random.fork_rng(own):
        torch.manual_seed(seed)
        return torch.cat([function(networks, part) for part in x.to(system.device).split(chunk)])


def encoder_of(system: System) -> Callable[[Networks, Tensor], Posterior] | None:
    """Return networks, data (n, *shape) → q(z|x), by the game's encoder or an invertible generator; None if neither."""
    if isinstance(system.game, Encodes) and system.game.encodes(system.networks):
        return system.game.encode
    if isinstance(system.networks.get("generator"), Invertible):
        return lambda networks, x: networks["generator"].encode(x)  # type: ignore[operator]
    return None


def encodes(system: System) -> None:
    """Raise ValueError if there is no encoder and no invertible generator."""
    if encoder_of(system) is None:
        raise ValueError(
            f"it needs codes of data, and {type(system.game).__name__} has no encoder; choose a game with an encoder, "
            "such as game=vae, or model=real_nvp, or leave it out"
        )


def encode(system: System, x: Tensor, seed: int = 0) -> Tensor:
    """Return the mean codes (n, latent_dim) of data x (n, *shape).

    An encoder without a known mean draws codes with this seed; use another seed for other data.
    """
    return posterior(system, x, lambda found: found.mean, seed)


def draw_codes(system: System, x: Tensor, seed: int) -> Tensor:
    """Draw a code from q(z|x) for each of the data x (n, *shape): (n, latent_dim)."""
    return posterior(system, x, lambda found: found.codes, seed)


def posterior(system: System, x: Tensor, part: Callable[[Posterior], Tensor], seed: int) -> Tensor:
    """Return the mean or the draws of q(z|x) of data x (n, *shape): (n, latent_dim)."""
    encoder = encoder_of(system)
    assert encoder is not None
    return infer(system, lambda networks, some: part(encoder(networks, some)), x, seed)


def reconstruct(system: System, x: Tensor, seed: int = 0) -> Tensor:
    """Return the reconstructions (n, *shape) of data x (n, *shape)."""
    return system.sample(encode(system, x, seed))


def paths(system: System, first: Tensor, second: Tensor, steps: int) -> Tensor:
    """Generate interpolations between the codes of pairs of data (n, *shape).

    Returns:
        Samples (n, steps, *shape); the first and last of each row are reconstructions.
    """
    codes = system.game.latent.path(encode(system, first), encode(system, second), steps)
    return system.sample(codes).unflatten(0, (len(first), steps))


def classify(system: System, x: Tensor) -> Tensor:
    """Return the logits (n, classes) of data x (n, *shape) in a game that classifies."""
    assert isinstance(system.game, Classifies)
    return infer(system, system.game.classify, x)


def infer_codes(system: System, x: Tensor) -> Tensor:
    """Return the parameters (n, …) of q(c|x) for data x (n, *shape) in a game with codes."""
    assert isinstance(system.game, InfersCodes)
    return infer(system, system.game.infer_codes, x)


def log_prob(system: System, x: Tensor) -> Tensor:
    """Return the log density (n,) in nats of data x (n, *shape) under a generator with a density."""
    return infer(system, lambda networks, some: networks["generator"].log_prob(some), x)  # type: ignore[operator]
