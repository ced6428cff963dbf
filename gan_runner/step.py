"""One training step: every player moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gan_runner.players import Player
from gan_runner.turn import Batch


def train_step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Let every player move in turn; report the last move of each by name, still on the device."""
    report: dict[str, Tensor] = {}
    batch: Batch = {}
    for player in players:
        for _ in range(player.updates):
            batch = next(batches) if player.fresh_batches else batch
            seen, gradients = player.gradients(batch)
            player.descend(gradients)
        player.scheduler.step()
        report |= {f"{player.name}/{name}": value for name, value in seen.items()}
    return report


def compile_moves(players: Sequence[Player], backend: str = "inductor") -> None:
    """Compile each player's pure move whole: forward, losses, penalties, double backward, in one graph.

    Without `fullgraph` a break inside a double backward runs and silently never updates; with it, it is an error.
    """
    torch._dynamo.config.trace_autograd_ops = True
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 8 * len(players))
    for player in players:
        player.gradients = torch.compile(player.gradients, fullgraph=True, backend=backend)  # type: ignore[method-assign]
