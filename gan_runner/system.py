"""The system that is trained: networks, players, game, dataset and loss as one object."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.constraints.base import KeepsAverages
from gan_runner.datasets.base import Dataset, HasDensity
from gan_runner.datasets.images import quantised
from gan_runner.errors import CheckpointError
from gan_runner.games.base import Game
from gan_runner.models.layers.batch_norm import BATCH_NORMS
from gan_runner.players import Player, plain
from gan_runner.step import UpdateScheme
from gan_runner.tools.activity import Activity
from gan_runner.tools.scheduled import schedules_in
from gan_runner.turn import Batch


@dataclass
class System:
    """Everything that is trained.

    Attributes:
        dataset: describes and loads the data.
        game: makes the players' turns.
        networks: all networks, by name.
        players: in the order in which they move.
        update_scheme: makes one training step of all players and returns their report.
        device: where networks and batches are.
        batch_size: rows of a batch in training.
        loss: gives the critic's scores their meaning, or is a distance between samples without a critic; None if the
            method has neither.
    """

    dataset: Dataset
    game: Game
    networks: dict[str, nn.Module]
    players: list[Player]
    update_scheme: UpdateScheme
    device: torch.device
    batch_size: int
    loss: Any = None

    def __post_init__(self) -> None:
        stateful = [player.stateful_modules() for player in self.players]
        self.schedules = list(schedules_in([*self.networks.values(), *stateful]))

    def step(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        """Make one training step and advance all schedules; return the report of the players, on the device."""
        for player in self.players:
            player.begin_step()
        report = self.update_scheme(self.players, batches)
        for player in self.players:
            player.end_step()
        self.move_schedules()
        return report

    def move_schedules(self) -> None:
        """Set every number that follows a schedule to its value at the current step."""
        for number in self.schedules:
            number.move_to(self.players[0].scheduler.last_epoch)

    def sampling_networks(self) -> dict[str, nn.Module]:
        """The networks that samples are drawn from; averaged weights replace trained ones where a player has them."""
        networks = dict(self.networks)
        for player in self.players:
            for constraint in player.constraints.values():
                if isinstance(constraint, KeepsAverages):
                    networks |= constraint.averages.items()
        return networks

    @torch.no_grad()
    def sample(self, noise: Tensor, chunk: int = 512) -> Tensor:
        """Samples (n, *shape) for rows of `noise` (n, …), with networks in evaluation mode, a chunk at a time.

        A generator with a density has the density of dequantised images; its images are mapped back to bytes.
        """
        networks = self.sampling_networks()
        parts = noise.to(self.device).split(chunk)
        with eval_mode(networks), Activity("drawing samples", len(noise), "samples") as activity:
            samples = torch.cat([self.game.sample(networks, part) for part in activity.count(parts)])
        of_bytes = self.dataset.bounded and isinstance(networks.get("generator"), HasDensity)
        return quantised(samples) if of_bytes else samples

    def noise(self, n: int, seed: int) -> Tensor:
        """Latents and conditions for n samples; row i depends only on the seed and i."""
        drawn = self.game.noise(self.networks, multiple_of_16(n), torch.Generator().manual_seed(seed))
        return drawn[:n].to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """The state of networks and players, for a checkpoint."""
        return {
            "networks": nn.ModuleDict(self.networks).state_dict(),
            "players": {player.name: player.state_dict() for player in self.players},
        }

    def load_state_dict(self, state: Mapping[str, Any], changed: Mapping[str, Collection[str]] | None = None) -> None:
        """Restore a saved state, except for the optimizer options that are `changed`, by player.

        Raises:
            CheckpointError: the state belongs to other networks or players.
        """
        try:
            nn.ModuleDict(self.networks).load_state_dict(state["networks"])
            for player in self.players:
                check_same_types(
                    *map(plain, (player.scheduler.state_dict(), state["players"][player.name]["scheduler"]))
                )
                player.load_state_dict(state["players"][player.name], (changed or {}).get(player.name, ()))
            self.move_schedules()
        except LOAD_ERRORS as error:
            reason = shorten(str(error), 200, placeholder=" …")
            raise CheckpointError(
                f"the checkpoint does not fit the networks and players of this configuration ({reason})"
            ) from error


LOAD_ERRORS = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)
"""Errors of loading a state that belongs to something else."""


def check_same_types(own: Any, other: Any) -> None:
    """Check that plain values have the types of those that they replace; schedulers do not check this.

    Raises:
        TypeError: a type differs.
    """
    kinds: tuple[Any, ...] = ((int, float), (list, tuple), dict, str)
    kind: Any = next((kind for kind in kinds if isinstance(own, kind)), object)
    if not isinstance(other, kind):
        raise TypeError(f"{other} is not of type {type(own).__name__}")
    if isinstance(own, dict):
        for name in own.keys() & other.keys():
            check_same_types(own[name], other[name])
    elif isinstance(own, list | tuple):
        for mine, its in zip(own, other):
            check_same_types(mine, its)


class eval_mode:  # noqa: N801  (used as a context)
    """Context in which networks are in evaluation mode; afterwards each module is back in its own mode."""

    def __init__(self, networks: Mapping[str, nn.Module]):
        self.modules = [module for network in networks.values() for module in network.modules()]

    def __enter__(self) -> None:
        self.training = [module.training for module in self.modules]
        for module in self.modules:
            module.training = False

    def __exit__(self, *exception: object) -> None:
        for module, training in zip(self.modules, self.training):
            module.training = training


class scoring_mode(eval_mode):  # noqa: N801  (used as a context)
    """Evaluation mode, except that batch norms use the statistics of the batch, as in training; none are kept.

    A critic with batch norm is trained on scores by the statistics of each batch of data or fakes. Its running
    statistics mix both, so scores by them have another meaning.
    """

    def __enter__(self) -> None:
        super().__enter__()
        modes = zip(self.modules, self.training)
        self.norms = [module for module, training in modes if training and isinstance(module, BATCH_NORMS)]
        self.tracking = [norm.track_running_stats for norm in self.norms]
        for norm in self.norms:
            norm.training, norm.track_running_stats = True, False

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        for norm, tracking in zip(self.norms, self.tracking):
            norm.track_running_stats = tracking


def multiple_of_16(n: int) -> int:
    """The next multiple of 16 from n on. `torch.randn` on a CPU draws other numbers for a rest of less than 16."""
    return -(-n // 16) * 16
