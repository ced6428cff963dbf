"""One training step: alternating (`train_step`), simultaneous or extragradient updates of all players.

The choice matters because a game is not a minimisation: on min over x, max over y of x·y, simultaneous updates spiral
outwards, alternating updates circle for ever, and extragradient converges (`game=bilinear`,
`tests/games/test_game_bilinear.py`).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from gan_runner.players import Gradients, Player
from gan_runner.tools.formulas import formula
from gan_runner.tools.torch_internals import copy_together
from gan_runner.turn import Batch

UpdateScheme = Callable[[Sequence[Player], Iterator[Batch]], dict[str, Tensor]]
"""A function from players and batches to the report of one training step.

In every step of a phase it draws the same number of batches.
"""


@formula("in turn")
def train_step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Let the players move in turn; return the losses of each player's last move by name, on the device."""
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


@formula("at once, by the gradients at one point")
def simultaneous(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Compute all gradients at the same point, then update all players (Gidel et al. 2019, arXiv:1807.04740).

    A player with several updates makes all but the last beforehand, as in `train_step`.
    """
    players = [player for player in players if player.updates]
    make_extra_moves(players, batches)
    moves = [player.move(batch) for player, batch in zip(players, draw_batches(players, batches))]
    return descend(players, moves)


@formula("a step of the optimizer by g(θ) to θ′, then back, and a step by g(θ′)")
def extragradient(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
    """Extrapolate all players by one step, then update them from where they were with the gradients found there.

    Korpelevich 1976; with a new batch for each half, Gidel et al. 2019, arXiv:1802.10551, Algorithm 2. Both halves are
    steps of the player's optimizer and advance its moments: with Adam this is ExtraAdam, their Algorithm 4. Stateful
    terms (historical averaging) see both points; constraints act only after the update.

    A player with several updates makes all but the last beforehand, as in `train_step`.
    """
    players = [player for player in players if player.updates]
    make_extra_moves(players, batches)
    origins = [[p.detach().clone() for p in player.parameters] for player in players]
    moves = [player.move(batch) for player, batch in zip(players, draw_batches(players, batches))]
    for player, (_, gradients) in zip(players, moves):
        player.step(gradients)
    moves = [player.move(batch) for player, batch in zip(players, draw_batches(players, batches))]
    with torch.no_grad():
        for player, origin in zip(players, origins):
            copy_together(player.parameters, origin)
    return descend(players, moves)


def draw_batches(players: Sequence[Player], batches: Iterator[Batch]) -> list[Batch]:
    """One batch for each player: a new one, or without `fresh_batches` that of the player before."""
    drawn: list[Batch] = []
    for player in players:
        drawn.append(next(batches) if player.fresh_batches or not drawn else drawn[-1])
    return drawn


def make_extra_moves(players: Sequence[Player], batches: Iterator[Batch]) -> None:
    """Make all moves of each player but its last, one player after the other."""
    batch: Batch | None = None
    for player in players:
        for _ in range(player.updates - 1):
            batch = next(batches) if player.fresh_batches or batch is None else batch
            _, gradients = player.move(batch)
            player.descend(gradients)


def descend(players: Sequence[Player], moves: Sequence[tuple[dict[str, Tensor], Gradients]]) -> dict[str, Tensor]:
    """Update every player by gradients that are already computed; return the losses by name, on the device."""
    report: dict[str, Tensor] = {}
    for player, (losses, gradients) in zip(players, moves):
        player.descend(gradients)
        report |= {f"{player.name}/{name}": value for name, value in losses.items()}
    return report


def batches_per_step(update_scheme: UpdateScheme, players: Sequence[Player]) -> int:
    """The number of batches that a step of the current phase draws, counted with players that do not change."""
    drawn = itertools.count()
    idle = [copy.copy(player) for player in players]
    for player in idle:
        player.parameters, player.constraints = [], {}
        player.move, player.update = (lambda batch: ({}, ())), (lambda gradients: None)
    update_scheme(idle, ({} for _ in drawn))
    return next(drawn)
