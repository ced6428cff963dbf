"""Losses, gradients and weights that are not finite: looked for on the device, and fetched together."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from gan_runner.distributed import processes
from gan_runner.runs.event import StepEvent
from gan_runner.system import System


def fetch(system: System, event: StepEvent) -> dict[str, float]:
    """Fetch what a step reported, once, and note in the event what is not finite, weights included.

    This is the one wait for the device; a step itself has none. All processes must fetch the same steps.

    Returns:
        By name the reported values; of each player that moved in this step the norm of its gradients
        (`PLAYER/gradient_norm`), and in fp16 its `PLAYER/loss_scale`; of several processes the means.
    """
    if event.values:
        return event.values
    values: dict[str, Tensor] = dict(event.report)
    for player in (player for player in system.players if player.updates):
        gradients = [p.grad for p in player.parameters if p.grad is not None]
        if gradients:  # of none the norm is on the CPU, wherever the rest is
            values[f"{player.name}/gradient_norm"] = get_total_norm(gradients)
        if player.loss_scale is not None:
            values[f"{player.name}/loss_scale"] = player.loss_scale
    fetched = to_numbers(values | largest_weights(system))
    forgive_overflow(system, fetched)
    event.values = {name: value for name, value in fetched.items() if name in values}
    event.non_finite = [name for name, value in fetched.items() if not math.isfinite(value)]
    return event.values


def check_weights(system: System, event: StepEvent) -> None:
    """Note in the event which networks hold non-finite weights, in this process alone, unless it was fetched."""
    if not event.values:
        weights = largest_weights(system)
        fetched = torch.stack(list(weights.values())).tolist()
        event.non_finite = [name for name, value in zip(weights, fetched) if not math.isfinite(value)]


@torch.no_grad()
def largest_weights(system: System) -> dict[str, Tensor]:
    """The largest absolute weight of each network that has any: not finite if one of its weights is not."""
    weights = {name: list(network.parameters()) for name, network in system.networks.items()}
    return {f"{name} weights": get_total_norm(some, torch.inf) for name, some in weights.items() if some}


def to_numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each value, over all processes, fetched together."""
    means = torch.stack([value.double().mean() for value in values.values()])
    return dict(zip(values, processes.present.all_reduce_mean(means).tolist()))


def forgive_overflow(system: System, fetched: dict[str, float]) -> None:
    """Leave out gradients that overflowed in fp16: the step was skipped and the loss scale halved, down to one."""
    for player in system.players:
        norm = f"{player.name}/gradient_norm"
        if fetched.get(f"{player.name}/loss_scale", 0.0) >= 1 and not math.isfinite(fetched.get(norm, 0.0)):
            del fetched[norm]
