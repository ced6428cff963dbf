"""The system that is trained: networks, players, game, dataset and loss as one object."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.constraints.base import KeepsAverages
from gan_runner.datasets.base import Dataset
from gan_runner.errors import CheckpointError
from gan_runner.games.base import Game
from gan_runner.players import Player, plain
from gan_runner.step import UpdateScheme
from gan_runner.tools.scheduled import schedules_in
from gan_runner.turn import Batch


@dataclass
class System:
    """What is trained.

    Attributes:
        dataset: the recipe for the data.
        game: who sees what.
        networks: all networks, by name.
        players: in the order in which they move.
        update_scheme: how they move in a training step; returns what they report.
        device: that all of it is on.
        loss: what the scores of data mean, or what is descended in their place; None if there is neither.
    """

    dataset: Dataset
    game: Game
    networks: dict[str, nn.Module]
    players: list[Player]
    update_scheme: UpdateScheme
    device: torch.device
    loss: Any = None

    def __post_init__(self) -> None:
        memories = [player.stateful_modules() for player in self.players]
        self.schedules = list(schedules_in([*self.networks.values(), *memories]))

    def step(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        """One training step, and one of all schedules; the report of the players, on the device."""
        for player in self.players:
            player.begin_step()
        report = self.update_scheme(self.players, batches)
        for player in self.players:
            player.end_step()
        self.move_schedules()
        return report

    def move_schedules(self) -> None:
        """Give every number that follows a schedule its value in the present step, which all players are at."""
        for number in self.schedules:
            number.move_to(self.players[0].scheduler.last_epoch)

    def sampling_networks(self) -> dict[str, nn.Module]:
        """The networks that samples are drawn from: averaged ones where a player keeps averages."""
        networks = dict(self.networks)
        for player in self.players:
            for constraint in player.constraints.values():
                if isinstance(constraint, KeepsAverages):
                    networks |= constraint.averages.items()
        return networks

    @torch.no_grad()
    def sample(self, noise: Tensor, chunk: int = 512) -> Tensor:
        """Samples (n, *shape) for such rows of `noise` (n, …), networks in evaluation mode, a chunk at a time."""
        networks = self.sampling_networks()
        with eval_mode(networks):
            return torch.cat([self.game.sample(networks, part) for part in noise.to(self.device).split(chunk)])

    def noise(self, n: int, seed: int) -> Tensor:
        """What n samples are made from, the same for the same seed on every device: latents, and conditions."""
        generator = torch.Generator().manual_seed(seed)
        return self.game.noise(self.networks, n, generator).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Everything that is trained, for a checkpoint."""
        return {
            "networks": nn.ModuleDict(self.networks).state_dict(),
            "players": {player.name: player.state_dict() for player in self.players},
        }

    def load_state_dict(self, state: Mapping[str, Any], changed: Mapping[str, Collection[str]] | None = None) -> None:
        """Go on from there, but with the options of optimizers that were `changed`, by player.

        Raises:
            CheckpointError: the state is that of other networks or players.
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
"""What is raised for a state that is of something else."""


def check_same_types(own: Any, other: Any) -> None:
    """Whether plain values are of the same kinds as what they are to replace, which a scheduler does not look at.

    Raises:
        TypeError: one is not.
    """
    kinds: tuple[Any, ...] = ((int, float), (list, tuple), dict, str)
    kind: Any = next((kind for kind in kinds if isinstance(own, kind)), object)
    if not isinstance(other, kind):
        raise TypeError(f"{other} is no {type(own).__name__}")
    if isinstance(own, dict):
        for name in own.keys() & other.keys():
            check_same_types(own[name], other[name])
    elif isinstance(own, list | tuple):
        for mine, its in zip(own, other):
            check_same_types(mine, its)


class eval_mode:  # noqa: N801  (a context, read as a verb)
    """Networks in evaluation mode, and afterwards each module in the mode it was in."""

    def __init__(self, networks: Mapping[str, nn.Module]):
        self.modules = [module for network in networks.values() for module in network.modules()]

    def __enter__(self) -> None:
        self.training = [module.training for module in self.modules]
        for module in self.modules:
            module.training = False

    def __exit__(self, *exception: object) -> None:
        for module, training in zip(self.modules, self.training):
            module.training = training
