"""A player owns some networks and an optimizer, and descends a few named terms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_reduce_mean
from gan_runner.games.base import Game
from gan_runner.turn import AS_IT_IS, Batch

WAYS_TO_STEP = ("fused", "foreach", "capturable")
"""What torch's optimizers are told of how to step, and not where to."""

Term = Callable[[Any], Tensor]
"""A turn of its game → a scalar."""


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
        scheduler: of the optimizer's learning rate, stepped once a training step (`gan_runner.build.System.step`).
        constraints: applied after each update.
        updates: how often it moves a training step.
        fresh_batches: whether each of its moves draws new data; otherwise it sees what was drawn last.
        half: what the layers of networks multiply in, if not in the precision of their weights.
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
        half: torch.dtype | None = None,
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
        self.half = half
        self.parameters = [p for name in owned for p in networks[name].parameters()]
        self.device = self.parameters[0].device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half is torch.float16)
        self.loss_scale = self.read_loss_scale()

    def gradients(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """One move, as a pure function: a turn → its named terms (and what it happened to see) → gradients.

        This is what is compiled whole. Nothing is fetched from the device.
        """
        with self.lowered():
            turn = self.game.turn(self.networks, self.owned, batch)
            terms = {name: term(turn) for name, term in self.terms.items()}
        gradients = torch.autograd.grad(self.total(terms), self.parameters, self.loss_scale)
        return {name: value.detach() for name, value in terms.items()} | turn.report(), gradients

    def lowered(self) -> AbstractContextManager[Any]:
        """The layers of networks multiply in half precision, if that is wanted."""
        return AS_IT_IS if self.half is None else torch.autocast(self.device.type, self.half)

    def read_loss_scale(self) -> Tensor | None:
        """What the loss is multiplied by in fp16, a scalar on the device, so that small gradients are not lost."""
        return self.scaler.scale(torch.ones((), device=self.device)) if self.scaler.is_enabled() else None

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms, a scalar; what has weight one is not multiplied."""
        weighted = [value if self.weights[name] == 1 else self.weights[name] * value for name, value in terms.items()]
        return functools.reduce(torch.add, weighted)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Assign the gradients, step; where processes share a batch, by the mean of theirs."""
        for parameter, gradient in zip(self.parameters, all_reduce_mean(gradients), strict=True):
            parameter.grad = laid_out_as(parameter, gradient)
        self.scaler.unscale_(self.optimizer)
        self.scaler.step(self.optimizer)  # a scaler does more than that in fp16 alone, where it may leave out a step
        self.scaler.update()
        self.loss_scale = self.read_loss_scale()

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
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])  # in a compiled iteration it is a tensor
        return {
            "optimizer": optimizer,
            "scheduler": plain(self.scheduler.state_dict()),
            "scaler": self.scaler.state_dict(),
            "memory": self.memory().state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], changed: Collection[str] = ()) -> None:
        """Go on from there, but with the options of the optimizer that were `changed`.

        Raises:
            ValueError: it is another player's. What torch raises for a state that is none is passed on.
        """
        ways = {*WAYS_TO_STEP, *changed} - {"lr"}  # the saved run may have been compiled, or on another device
        kept = [{name: group[name] for name in ways if name in group} for group in self.optimizer.param_groups]
        rates = list(self.scheduler.base_lrs)
        self.optimizer.load_state_dict(state["optimizer"])
        check_state(self.optimizer)
        for group, own in zip(self.optimizer.param_groups, kept):
            group.update(own)
        self.scheduler.load_state_dict(state["scheduler"])
        if "lr" in changed:
            self.scheduler.base_lrs = rates
            for group, rate in zip(self.optimizer.param_groups, rates):
                group["lr"] *= rate / (group["initial_lr"] or 1.0)  # as far on its schedule as the other was
                group["initial_lr"] = rate
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
            self.loss_scale = self.read_loss_scale()
        self.memory().load_state_dict(state["memory"])


def plain(content: Any) -> Any:
    """Dictionaries and lists with numbers in place of tensors of one number, as rates of a compiled iteration are."""
    if isinstance(content, dict):
        return {name: plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(plain, content))
    return content.item() if isinstance(content, Tensor) and content.dim() == 0 else content


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """Whether what an optimizer remembers fits its parameters; torch looks at it in the next step, which is too late.

    Raises:
        ValueError: it does not remember the same things of each parameter.
        RuntimeError: something has another shape.
    """
    memories = list(optimizer.state.items())
    if len({frozenset((name, type(value)) for name, value in memory.items()) for _, memory in memories}) > 1:
        raise ValueError("the optimizer remembers other things of one parameter than of another")
    for parameter, memory in memories:
        for value in memory.values():
            if isinstance(value, Tensor):
                value.expand_as(parameter)


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the strides of its parameter, as `backward` leaves it and `autograd.grad` may not.

    torch's fused optimizers read both as flat memory, and update wrongly, without a word, where the strides differ.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)
