"""Detect losses, gradients and weights that are not finite, with one transfer from the device."""

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
    """Fetch the values that a step reported, and store in the event the names of all that are not finite.

    Weights are checked too. This is the only wait for the device; a training step has none. All processes must fetch
    the same steps.

    Returns:
        The reported values by name; for each player that moved, the norm of its gradients (`PLAYER/gradient_norm`),
        and in fp16 its `PLAYER/loss_scale`. With several processes these are means.
    """
    if event.values:
        return event.values
    values: dict[str, Tensor] = dict(event.report)
    for player in (player for player in system.players if player.updates):
        gradients = [p.grad for p in player.parameters if p.grad is not None]
        if gradients:  # the norm of an empty list would be on the CPU
            values[f"{player.name}/gradient_norm"] = get_total_norm(gradients)
        if player.loss_scale is not None:
            values[f"{player.name}/loss_scale"] = player.loss_scale
    fetched = to_numbers(values | largest_weights(system))
    forgive_overflow(system, fetched)
    event.values = {name: value for name, value in fetched.items() if name in values}
    event.non_finite = [name for name, value in fetched.items() if not math.isfinite(value)]
    return event.values


def check_weights(system: System, event: StepEvent) -> None:
    """Store in the event which networks have non-finite weights in this process, unless it was fetched already."""
    if not event.values:
        weights = largest_weights(system)
        fetched = torch.stack(list(weights.values())).tolist()
        event.non_finite = [name for name, value in zip(weights, fetched) if not math.isfinite(value)]


@torch.no_grad()
def largest_weights(system: System) -> dict[str, Tensor]:
    """The largest absolute weight of each network that has weights; not finite if any weight is not."""
    weights = {name: list(network.parameters()) for name, network in system.networks.items()}
    return {f"{name} weights": get_total_norm(some, torch.inf) for name, some in weights.items() if some}


def to_numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each value over its elements and all processes, in one transfer."""
    means = torch.stack([value.double().mean() for value in values.values()])
    return dict(zip(values, processes.present.all_reduce_mean(means).tolist()))


def forgive_overflow(system: System, fetched: dict[str, float]) -> None:
    """Drop the norms of gradients that overflowed in fp16: the step was skipped, and the loss scale was halved."""
    for player in system.players:
        norm = f"{player.name}/gradient_norm"
        if fetched.get(f"{player.name}/loss_scale", 0.0) >= 1 and not math.isfinite(fetched.get(norm, 0.0)):
            del fetched[norm]
