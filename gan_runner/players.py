"""A player owns some networks and an optimizer, and descends a few named terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gan_runner.sharding import average
from gan_runner.turn import Batch, Turn

Term = Callable[[Any], Tensor]
"""A turn of its game → a scalar."""


class Game(Protocol):
    """Who sees what."""

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> Turn:
        """What the player that owns `owned` sees of this batch."""

    def prepare(self, networks: Mapping[str, nn.Module], data: Tensor) -> None:
        """Initialise from data (n, *shape) what depends on it."""

    def sample(self, networks: Mapping[str, nn.Module], noise: Tensor) -> Tensor:
        """Generated data (n, *shape) for latents (n, latent_dim)."""

    def criticise(self, networks: Mapping[str, nn.Module], x: Tensor) -> Tensor:
        """A critic's scores (n,) of any points (n, *shape)."""

    @property
    def latent(self) -> Any:
        """The prior that samples are drawn from."""


class Player:
    """One of those who take turns.

    Args:
        name: as in the configuration.
        game: says what it sees.
        networks: all networks of the game.
        owned: names of those that it descends.
        terms: what it descends, by name.
        weights: of the terms, in their sum.
        optimizer: of its parameters.
        scheduler: of the optimizer's learning rate, stepped once a training step.
        constraints: applied after each update.
        updates: how often it moves a training step.
        fresh_batches: whether each of its moves draws new data; otherwise it sees what was drawn last.
    """

    def __init__(
        self,
        name: str,
        game: Game,
        networks: Mapping[str, nn.Module],
        owned: tuple[str, ...],
        terms: Mapping[str, Term],
        weights: Mapping[str, float],
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler,
        constraints: Mapping[str, nn.Module],
        updates: int = 1,
        fresh_batches: bool = True,
    ):
        self.name = name
        self.game = game
        self.networks = networks
        self.owned = owned
        self.terms = terms
        self.weights = weights
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.constraints = constraints
        self.updates = updates
        self.fresh_batches = fresh_batches
        self.parameters = [p for name in owned for p in networks[name].parameters()]

    def gradients(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """One move, as a pure function: a turn → its named terms (and what it happened to see) → gradients.

        This is what is compiled whole. Nothing is fetched from the device.
        """
        turn = self.game.turn(self.networks, self.owned, batch)
        terms = {name: term(turn) for name, term in self.terms.items()}
        total = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()
        gradients = torch.autograd.grad(total, self.parameters)
        return {name: value.detach() for name, value in terms.items()} | turn.report(), gradients

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Assign the gradients, step; where processes share a batch, by the mean of theirs."""
        for parameter, gradient in zip(self.parameters, average(gradients), strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def descend(self, gradients: Sequence[Tensor]) -> None:
        """Step, constrain."""
        self.step(gradients)
        for constraint in self.constraints.values():
            constraint()

    def memory(self) -> nn.ModuleDict:
        """Terms and constraints that remember something, for a checkpoint."""
        kinds = {"terms": self.terms, "constraints": self.constraints}
        return nn.ModuleDict(
            {
                kind: nn.ModuleDict({name: part for name, part in parts.items() if isinstance(part, nn.Module)})
                for kind, parts in kinds.items()
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything of the player but its networks."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "memory": self.memory().state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.memory().load_state_dict(state["memory"])
