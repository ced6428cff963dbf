"""One training step: every player moves, in turn (`train_step`) or otherwise.

The other ways matter because a game is no descent: on min over x, max over y of x·y, players who move at once spiral
outwards, players who move in turn circle for ever, and players who look ahead arrive (`game=bilinear`,
`tests/games/test_game_bilinear.py`).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from gan_runner.players import Gradients, Player
from gan_runner.tools.torch_internals import copy_together
from gan_runner.turn import Batch

UpdateScheme = Callable[[Sequence[Player], Iterator[Batch]], dict[str, Tensor]]
"""Players, batches → one training step's report. It draws as many batches at every step of a phase."""


def train_step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Let every player move in turn; report the last move of each by name, still on the device."""
    report: dict[str, Tensor] = {}
    batch: Batch | None = None
    for player in players:
        losses: dict[str, Tensor] = {}
        for _ in range(player.updates):
            batch = next(batches) if player.fresh_batches or batch is None else batch
            losses, gradients = player.move(batch)
            player.descend(gradients)
        report |= {f"{player.name}/{name}": value for name, value in losses.items()}
    return report


def simultaneous(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """All gradients are taken at the same point; then all players descend (Gidel et al. 2019, arXiv:1807.04740).

    A player with several updates makes all but the last beforehand, as in `train_step`.
    """
    players = [player for player in players if player.updates]
    move_ahead(players, batches)
    moves = [player.move(batch) for player, batch in zip(players, draw(players, batches))]
    return descend(players, moves)


def extragradient(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """All players step ahead, and then descend from where they were, by the gradients found there.

    Korpelevich 1976; with a new batch for each half, Gidel et al. 2019, arXiv:1802.10551, Algorithm 2. The step ahead
    is the optimizer's own, whose moments and count go on through both halves: with Adam this is their Algorithm 4,
    ExtraAdam. Terms that remember (historical averaging) see both points; constraints act after the descent alone.

    A player with several updates makes all but the last beforehand, as in `train_step`.
    """
    players = [player for player in players if player.updates]
    move_ahead(players, batches)
    origins = [[p.detach().clone() for p in player.parameters] for player in players]
    moves = [player.move(batch) for player, batch in zip(players, draw(players, batches))]
    for player, (_, gradients) in zip(players, moves):
        player.step(gradients)
    moves = [player.move(batch) for player, batch in zip(players, draw(players, batches))]
    with torch.no_grad():
        for player, origin in zip(players, origins):
            copy_together(player.parameters, origin)
    return descend(players, moves)


def draw(players: Sequence[Player], batches: Iterator[Batch]) -> list[Batch]:
    """What each player sees: a new batch, or, if it does not ask for one, that of the player before."""
    seen: list[Batch] = []
    for player in players:
        seen.append(next(batches) if player.fresh_batches or not seen else seen[-1])
    return seen


def move_ahead(players: Sequence[Player], batches: Iterator[Batch]) -> None:
    """Every move of each player but its last, one player after the other."""
    batch: Batch | None = None
    for player in players:
        for _ in range(player.updates - 1):
            batch = next(batches) if player.fresh_batches or batch is None else batch
            _, gradients = player.move(batch)
            player.descend(gradients)


def descend(players: Sequence[Player], moves: Sequence[tuple[dict[str, Tensor], Gradients]]) -> dict[str, Tensor]:
    """Every player descends by gradients already computed; report what each saw by name, still on the device."""
    report: dict[str, Tensor] = {}
    for player, (seen, gradients) in zip(players, moves):
        player.descend(gradients)
        report |= {f"{player.name}/{name}": value for name, value in seen.items()}
    return report


def batches_per_step(update_scheme: UpdateScheme, players: Sequence[Player]) -> int:
    """How many batches a step of the present phase draws: counted by copies of the players that do not move."""
    drawn = itertools.count()
    still = [copy.copy(player) for player in players]
    for player in still:
        player.parameters, player.constraints = [], {}
        player.move, player.update = (lambda batch: ({}, ())), (lambda gradients: None)
    update_scheme(still, ({} for _ in drawn))
    return next(drawn)
