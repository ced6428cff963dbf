"""A player owns some networks and an optimizer, and descends a few named terms."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_reduce_mean
from gan_runner.games.base import Game
from gan_runner.optimizers.eager import eager_step
from gan_runner.tools.scheduled import Scheduled, times
from gan_runner.turn import NO_CONTEXT, Batch

OPTIMIZER_FLAGS = ("fused", "foreach", "capturable")
"""Options of torch's optimizers that choose an implementation and not an update."""

Term = Callable[[Any], Tensor]
"""A turn of its game → a scalar."""

Gradients = Sequence[Tensor | None]
"""Of each parameter of a player, in order; None where the losses do not depend on it."""

Move = Callable[[Batch], tuple[dict[str, Tensor], Gradients]]
"""A batch → losses by name, gradients."""

Update = Callable[[Gradients], None]
"""Gradients → an optimizer step."""


@dataclass(eq=False)
class Player:
    """Some networks with an optimizer, and the named terms that it descends.

    How it moves and how it updates are fields, `move` and `update`: compiling a player or stacking several seeds of it
    puts another function in their place.

    Attributes:
        name: as in the configuration.
        game: decides what it sees.
        networks: all networks of the game.
        owned: names of the networks that it descends.
        terms: of its loss, by name.
        weights: of the terms in their sum, by name.
        optimizer: of its parameters.
        scheduler: of the optimizer; its step is the training step (`gan_runner.system.System.step`).
        constraints: applied after each update, by name.
        phases: how many times it moves in a training step, by the first step of each phase; from step 0.
        fresh_batches: whether each of its moves draws new data; otherwise it sees the batch that was drawn last.
        autocast_dtype: in which the layers of its networks multiply, if not in that of their weights.
        parameters: of the networks that it owns; a gradient is None for a parameter that no term depends on.
        updates: how many times it moves in the present training step; at 0 it reports nothing.
        move: a batch → named losses, gradients. A pure function, so that it can be compiled.
        update: gradients → an optimizer step.
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
        self.move, self.update = self.losses_and_gradients, self.step_optimizer
        self.optimizer_step = eager_step(self.optimizer)

    def losses_and_gradients(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        """One move: a batch → the turn → its terms and what it reports, by name → the gradients of their sum.

        This is compiled as one graph, so it reads no value from the device. A parameter that no term depends on has no
        gradient, rather than zero: the optimizer then leaves it alone, and neither momentum nor weight decay moves it.
        """
        with self.autocast():
            turn = self.game.turn(self.networks, self.owned, batch)
            terms = {name: term(turn) for name, term in self.terms.items()}
        gradients = torch.autograd.grad(self.total(terms), self.parameters, self.loss_scale, allow_unused=True)
        return {name: value.detach() for name, value in terms.items()} | turn.report(), gradients

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside, layers multiply in `autocast_dtype`."""
        return NO_CONTEXT if self.autocast_dtype is None else torch.autocast(self.device.type, self.autocast_dtype)

    def read_loss_scale(self) -> Tensor | None:
        """The factor of the loss in fp16, a scalar on the device, so that small gradients are not rounded to zero."""
        return self.scaler.scale(torch.ones((), device=self.device)) if self.scaler.is_enabled() else None

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms, a scalar; a weight of one does not multiply."""
        return functools.reduce(torch.add, [times(self.weights[name], value) for name, value in terms.items()])

    def step(self, gradients: Gradients) -> None:
        """Update by the gradients; where processes share a batch, by the mean of theirs."""
        averaged = iter(all_reduce_mean([gradient for gradient in gradients if gradient is not None]))
        self.update([gradient if gradient is None else next(averaged) for gradient in gradients])

    def descend(self, gradients: Gradients) -> None:
        """Step, then apply the constraints."""
        self.step(gradients)
        for constraint in self.constraints.values():
            constraint()

    def step_optimizer(self, gradients: Gradients) -> None:
        """Assign the gradients, step; in fp16 a step is left out if a gradient is not finite."""
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
        """A training step begins: look up how many times to move in it.

        `scheduler.last_epoch` is the number of training steps done, which checkpoints keep.
        """
        self.updates = self.phases[max(first for first in self.phases if first <= self.scheduler.last_epoch)]

    def end_step(self) -> None:
        """A training step is over: go on with the learning rate, also of a player that does not move in this phase."""
        if self.scheduler.last_epoch > 0:
            self.scheduler.step()
            return
        with warnings.catch_warnings():  # torch does not see the steps of `eager_step` and of a graph, and says so once
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.scheduler.step()

    def stateful_modules(self) -> nn.ModuleDict:
        """Terms, constraints and weights that are modules: with parameters, buffers or schedules."""
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
        """Everything of the player but its networks."""
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
        """Go on from there, but with the options of the optimizer that were `changed`.

        Raises:
            ValueError: the state is that of another player. Torch's own errors for a broken state are passed on.
        """
        own = {*OPTIMIZER_FLAGS, *changed} - {"lr"}  # the saved run may have been compiled, or on another device
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
                group["lr"] *= rate / (group["initial_lr"] or 1.0)  # as far on its schedule as the saved run was
                group["initial_lr"] = rate
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
            self.loss_scale = self.read_loss_scale()
        self.stateful_modules().load_state_dict(state["modules"])


def phases_of(updates: int | Mapping[int, int]) -> dict[int, int]:
    """How many times a player moves in a training step, by the first step of each phase.

    Args:
        updates: the same number for all steps, or such a table.

    Raises:
        ValueError: something is negative, or step 0 is missing.
    """
    phases = dict(updates) if isinstance(updates, Mapping) else {0: updates}
    if 0 not in phases or min(*phases, *phases.values()) < 0:
        raise ValueError(
            f"updates={updates} must be at least 0, where 0 leaves it as it is; "
            "a table by step begins at step 0, as {0: 0, 3000: 1}"
        )
    return phases


def plain(content: Any) -> Any:
    """Dictionaries and lists with numbers in place of scalar tensors, which the rates of a compiled iteration are."""
    if isinstance(content, dict):
        return {name: plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(plain, content))
    return content.item() if isinstance(content, Tensor) and content.dim() == 0 else content


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """Check that an optimizer's state fits its parameters; torch would notice in the next step, which is too late.

    Raises:
        ValueError: the state of one parameter has other entries than that of another.
        RuntimeError: an entry has another shape than its parameter.
    """
    states = list(optimizer.state.items())
    if len({frozenset((name, type(value)) for name, value in state.items()) for _, state in states}) > 1:
        raise ValueError("the optimizer's state has other entries for one parameter than for another")
    for parameter, state in states:
        for value in state.values():
            if isinstance(value, Tensor):
                value.expand_as(parameter)


def match_strides(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the strides of its parameter, which `backward` ensures and `autograd.grad` does not.

    torch's fused optimizers read both as flat memory: where strides differ they update other elements.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)
