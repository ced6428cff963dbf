"""What a trained system infers from data: codes, reconstructions, classes, densities.

All of it by averaged weights where there are any, in evaluation mode, a chunk at a time.
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
    """A function of networks and data, of data x (n, *shape): (n, …).

    What it draws is the same for the same seed, and a run's own random numbers stay as they are.
    """
    networks = system.sampling_networks()
    own = [system.device] if system.device.type == "cuda" else []
    with eval_mode(networks), torch.random.fork_rng(own):
        torch.manual_seed(seed)
        return torch.cat([function(networks, part) for part in x.to(system.device).split(chunk)])


def encoder_of(system: System) -> Callable[[Networks, Tensor], Posterior] | None:
    """Networks, data (n, *shape) → q(z|x): that of the game's encoder or of a generator with an inverse, if any."""
    if isinstance(system.game, Encodes) and system.game.encodes(system.networks):
        return system.game.encode
    if isinstance(system.networks.get("generator"), Invertible):
        return lambda networks, x: networks["generator"].encode(x)  # type: ignore[operator]
    return None


def encodes(system: System) -> None:
    """Raise ValueError if data has no codes."""
    if encoder_of(system) is None:
        raise ValueError(
            f"it looks at codes of data, and {type(system.game).__name__} makes none; choose a game with an encoder, "
            "such as game=vae, or model=real_nvp, or leave it out"
        )


def encode(system: System, x: Tensor, seed: int = 0) -> Tensor:
    """The codes (n, latent_dim) that stand for data x (n, *shape), of a system with an encoder.

    An encoder without a known mean draws them, by this seed: other data takes another.
    """
    return posterior(system, x, lambda found: found.mean, seed)


def draw_codes(system: System, x: Tensor, seed: int) -> Tensor:
    """A draw (n, latent_dim) of q(z|x) for each of the data x (n, *shape), of a system with an encoder."""
    return posterior(system, x, lambda found: found.codes, seed)


def posterior(system: System, x: Tensor, part: Callable[[Posterior], Tensor], seed: int) -> Tensor:
    """A part of q(z|x) of data x (n, *shape), of a system with an encoder: (n, latent_dim)."""
    encoder = encoder_of(system)
    assert encoder is not None
    return infer(system, lambda networks, some: part(encoder(networks, some)), x, seed)


def reconstruct(system: System, x: Tensor, seed: int = 0) -> Tensor:
    """What is generated from the codes of data x (n, *shape): (n, *shape)."""
    return system.sample(encode(system, x, seed))


def paths(system: System, first: Tensor, second: Tensor, steps: int) -> Tensor:
    """What is generated on the way from the code of each of the first data (n, *shape) to that of its second.

    Returns:
        (n, steps, *shape), the first and the last of them reconstructions.
    """
    codes = system.game.latent.path(encode(system, first), encode(system, second), steps)
    return system.sample(codes).unflatten(0, (len(first), steps))


def classify(system: System, x: Tensor) -> Tensor:
    """The logits (n, classes) of data x (n, *shape), of a game that classifies."""
    assert isinstance(system.game, Classifies)
    return infer(system, system.game.classify, x)


def infer_codes(system: System, x: Tensor) -> Tensor:
    """Parameters (n, …) of q(c|x) for data x (n, *shape), of a game with codes."""
    assert isinstance(system.game, InfersCodes)
    return infer(system, system.game.infer_codes, x)


def log_prob(system: System, x: Tensor) -> Tensor:
    """The log density (n,) in nats of data x (n, *shape), of a generator that has one."""
    return infer(system, lambda networks, some: networks["generator"].log_prob(some), x)  # type: ignore[operator]
