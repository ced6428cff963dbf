"""A player owns some networks and an optimizer, and minimises a weighted sum of named terms."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from gan_runner.distributed.sharding import all_reduce_mean
from gan_runner.games.base import Game
from gan_runner.optimizers.eager import eager_step
from gan_runner.tools.scheduled import Scheduled, times
from gan_runner.turn import NO_CONTEXT, Batch

OPTIMIZER_FLAGS = ("fused", "foreach", "capturable")
"""Options of torch's optimizers that select an implementation and do not change the update."""

Term = Callable[[Any], Tensor]
"""A function from a turn to a scalar."""

Gradients = Sequence[Tensor | None]
"""The gradient of each parameter of a player, in order; None if the losses do not depend on the parameter."""

Move = Callable[[Batch], tuple[dict[str, Tensor], Gradients]]
"""A function from a batch to the losses by name and the gradients."""

Update = Callable[[Gradients], None]
"""A function that takes gradients and makes an optimizer step."""


@dataclass(eq=False)
class Player:
    """Some networks with an optimizer, and the named terms whose weighted sum they minimise.

    `move` and `update` are fields: to compile a player, or to stack several seeds of it, replace these functions.

    Attributes:
        name: the player's name in the configuration.
        game: makes the turns that the player sees.
        networks: all networks of the game.
        owned: names of the networks that the player trains.
        terms: the terms of its loss, by name.
        weights: the weight of each term, by name.
        optimizer: updates the player's parameters.
        scheduler: the learning rate schedule; its step is the training step (`gan_runner.system.System.step`).
        constraints: functions that are called after each update, by name.
        phases: the number of moves in a training step, by the first step of each phase; the first phase starts at 0.
        fresh_batches: whether each move draws a new batch; if not, the player sees the last batch drawn.
        autocast_dtype: the dtype of matrix products and convolutions; None for that of the weights.
        parameters: the parameters of its networks; the gradient of one that no term depends on is None.
        updates: the number of moves in the current training step; with 0 the player reports nothing.
        rate: the learning rate of the last training step.
        move: maps a batch to named losses and gradients. A pure function, so that it can be compiled.
        update: takes gradients and makes an optimizer step.
    """

    name: str
    game: Game
    networks: Mapping[str, nn.Module]
    owned: tuple[str, ...]
    terms: Mapping[str, Term]
    weights: Mapping[str, float | Scheduled]
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    constraints: Mapping[str, Callable[[], Any]]
    phases: Mapping[int, int] = field(default_factory=lambda: {0: 1})
    fresh_batches: bool = True
    autocast_dtype: torch.dtype | None = None
    move: Move = field(init=False, repr=False)
    update: Update = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.parameters = [p for name in self.owned for p in self.networks[name].parameters()]
        self.device = self.parameters[0].device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.autocast_dtype is torch.float16)
        self.loss_scale = self.read_loss_scale()
        self.begin_step()
        self.rate: float | Tensor = self.optimizer.param_groups[0]["lr"]
        self.move, self.update = self.losses_and_gradients, self.step_optimizer
        self.optimizer_step = eager_step(self.optimizer)

    def losses_and_gradients(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        """One move: the terms and logged values of a batch by name, and the gradients of the weighted sum of terms.

        The move is compiled as one graph, so it reads no value from the device. A parameter that no term depends on has
        the gradient None and not zero, so that neither momentum nor weight decay changes it.
        """
        with self.autocast():
            turn = self.game.turn(self.networks, self.owned, batch)
            terms = {name: term(turn) for name, term in self.terms.items()}
        gradients = torch.autograd.grad(self.total(terms), self.parameters, self.loss_scale, allow_unused=True)
        return {name: value.detach() for name, value in terms.items()} | turn.report(), gradients

    def autocast(self) -> AbstractContextManager[Any]:
        """Context in which matrix products and convolutions use `autocast_dtype`."""
        return NO_CONTEXT if self.autocast_dtype is None else torch.autocast(self.device.type, self.autocast_dtype)

    def read_loss_scale(self) -> Tensor | None:
        """The factor of the loss in fp16, a scalar on the device; it keeps small gradients from underflowing."""
        return self.scaler.scale(torch.ones((), device=self.device)) if self.scaler.is_enabled() else None

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms, a scalar; a term of weight one is added without a multiplication."""
        return functools.reduce(torch.add, [times(self.weights[name], value) for name, value in terms.items()])

    def step(self, gradients: Gradients) -> None:
        """Update the parameters; several processes average their gradients first."""
        averaged = iter(all_reduce_mean([gradient for gradient in gradients if gradient is not None]))
        self.update([gradient if gradient is None else next(averaged) for gradient in gradients])

    def descend(self, gradients: Gradients) -> None:
        """Update the parameters, then apply the constraints."""
        self.step(gradients)
        for constraint in self.constraints.values():
            constraint()

    def step_optimizer(self, gradients: Gradients) -> None:
        """Assign the gradients and step the optimizer; in fp16, skip the step if a gradient is not finite."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient if gradient is None else match_strides(parameter, gradient)
        if not self.scaler.is_enabled():
            self.optimizer_step()
            return
        self.scaler.unscale_(self.optimizer)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.loss_scale = self.read_loss_scale()

    def begin_step(self) -> None:
        """Look up the number of moves in the training step that begins.

        `scheduler.last_epoch` is the number of training steps done; checkpoints save it.
        """
        self.updates = self.phases[max(first for first in self.phases if first <= self.scheduler.last_epoch)]

    def end_step(self) -> None:
        """Step the learning rate schedule, also if the player does not move in this phase; keep the rate until then."""
        rate = self.optimizer.param_groups[0]["lr"]
        self.rate = rate.clone() if isinstance(rate, Tensor) else rate  # the schedule changes a tensor in place
        if self.scheduler.last_epoch > 0:
            self.scheduler.step()
            return
        with warnings.catch_warnings():  # torch does not see steps made by `eager_step` or a graph, and warns
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.scheduler.step()

    def stateful_modules(self) -> nn.ModuleDict:
        """The terms, constraints and weights that are modules, with parameters, buffers or schedules to save."""
        kinds: dict[str, Mapping[str, Any]] = {
            "terms": self.terms,
            "constraints": self.constraints,
            "weights": self.weights,
        }
        return nn.ModuleDict(
            {
                kind: nn.ModuleDict({name: part for name, part in parts.items() if isinstance(part, nn.Module)})
                for kind, parts in kinds.items()
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """The state of the player without its networks: optimizer, scheduler, loss scale, stateful modules."""
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])  # in a compiled iteration it is a tensor
        return {
            "optimizer": optimizer,
            "scheduler": plain(self.scheduler.state_dict()),
            "scaler": self.scaler.state_dict(),
            "modules": self.stateful_modules().state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], changed: Collection[str] = ()) -> None:
        """Restore a saved state, except for the optimizer options named in `changed`.

        Raises:
            ValueError: the state belongs to another player. For a broken state, torch raises its own errors.
        """
        own = {*OPTIMIZER_FLAGS, *changed} - {"lr"}  # the saved run may be compiled, or from another device
        kept = [{name: group[name] for name in own if name in group} for group in self.optimizer.param_groups]
        rates = list(self.scheduler.base_lrs)
        self.optimizer.load_state_dict(state["optimizer"])
        check_state(self.optimizer)
        for group, options in zip(self.optimizer.param_groups, kept):
            group.update(options)
        self.scheduler.load_state_dict(state["scheduler"])
        if "lr" in changed:
            self.scheduler.base_lrs = rates
            for group, rate in zip(self.optimizer.param_groups, rates):
                group["lr"] *= rate / (group["initial_lr"] or 1.0)  # keeps the saved run's place on the schedule
                group["initial_lr"] = rate
        if isinstance(self.scheduler, LambdaLR):  # a closed form, also of a run that was at the end of a shorter one
            factors = [factor(self.scheduler.last_epoch) for factor in self.scheduler.lr_lambdas]
            for group, rate, factor in zip(self.optimizer.param_groups, self.scheduler.base_lrs, factors):
                group["lr"] = rate * factor
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
            self.loss_scale = self.read_loss_scale()
        self.stateful_modules().load_state_dict(state["modules"])


def phases_of(updates: int | Mapping[int, int]) -> dict[int, int]:
    """The number of moves in a training step, by the first step of each phase.

    Args:
        updates: one number for all steps, or a table from the first step of each phase to its number.

    Raises:
        ValueError: a number is negative, or the table does not begin at step 0.
    """
    phases = dict(updates) if isinstance(updates, Mapping) else {0: updates}
    if 0 not in phases or min(*phases, *phases.values()) < 0:
        raise ValueError(
            f"updates={updates} must be 0 (the player is not trained) or more; "
            "a table from steps to numbers begins at step 0, such as {0: 0, 3000: 1}"
        )
    return phases


def plain(content: Any) -> Any:
    """Copy dictionaries and lists with scalar tensors as numbers: a compiled iteration's learning rates are tensors."""
    if isinstance(content, dict):
        return {name: plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(plain, content))
    return content.item() if isinstance(content, Tensor) and content.dim() == 0 else content


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """Check that an optimizer's state fits its parameters; torch itself notices only in the next step.

    Raises:
        ValueError: the states of two parameters have different entries.
        RuntimeError: the shape of an entry differs from that of its parameter.
    """
    states = list(optimizer.state.items())
    if len({frozenset((name, type(value)) for name, value in state.items()) for _, state in states}) > 1:
        raise ValueError("the optimizer's state has different entries for different parameters")
    for parameter, state in states:
        for value in state.values():
            if isinstance(value, Tensor):
                value.expand_as(parameter)


def match_strides(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the strides of its parameter; `backward` ensures this, `autograd.grad` does not.

    torch's fused optimizers read both as flat memory, so with different strides they update the wrong elements.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)
