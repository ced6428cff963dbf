"""One training step: every player moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from gan_runner.players import Player
from gan_runner.turn import Batch

Play = Callable[[Sequence[Any], Iterator[Batch]], dict[str, Tensor]]
"""Players, batches → one training step's report.

Of a player it uses what is public: name, updates, fresh_batches, parameters, gradients, step and descend. It draws as
many batches at every step.
"""


def train_step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Let every player move in turn; report the last move of each by name, still on the device."""
    report: dict[str, Tensor] = {}
    batch: Batch = {}
    for player in players:
        for _ in range(player.updates):
            batch = next(batches) if player.fresh_batches else batch
            seen, gradients = player.gradients(batch)
            player.descend(gradients)
        report |= {f"{player.name}/{name}": value for name, value in seen.items()}
    return report
