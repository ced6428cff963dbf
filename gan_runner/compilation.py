"""How a training step is compiled: each player's move in one graph, or the whole iteration.

A graph that is wrong may run and say nothing, so every method is tested by the parameters that it ends with.
"""

from __future__ import annotations

import inspect
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor

from gan_runner.players import Player
from gan_runner.sharding import average
from gan_runner.step import Play
from gan_runner.turn import Batch

log = logging.getLogger("gan_runner")

Compile = Literal["auto", "iteration"] | bool

Wrap = Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any]]
"""A compiled function, the same uncompiled → what is called."""


def always(compiled: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, come what may."""
    return compiled


def compiled(what: Compile, play: Play, players: Sequence[Player], device: torch.device) -> Play:
    """The play, compiled as the configuration says; what cannot be compiled goes on as it is, after one line.

    Args:
        what: nothing, each move, the whole iteration, or (auto) the moves on a GPU and nothing elsewhere.
        play: how the players move.
        players: who move.
        device: where; on a GPU what is compiled is captured as CUDA graphs.
    """
    if not wanted(what, device):
        return play
    compile_it = compile_iteration if what == "iteration" else compile_moves
    return compile_it(play, players, wrap=or_eager, **options_for(device))


def compiled_graph(what: Compile, graph: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A function of tensors, compiled as the configuration says, or as it is after one line."""
    return or_eager(whole(graph, **options_for(device)), graph) if wanted(what, device) else graph


def wanted(what: Compile, device: torch.device) -> bool:
    """Whether anything is to be compiled."""
    return device.type == "cuda" if what == "auto" else bool(what)


def options_for(device: torch.device) -> dict[str, Any]:
    """Of `torch.compile`: on a GPU, CUDA graphs."""
    return {"mode": "reduce-overhead"} if device.type == "cuda" else {}


def compile_moves(play: Play, players: Sequence[Player], wrap: Wrap = always, **options: Any) -> Play:
    """Each player's pure move in one graph: forward, losses, penalties, double backward.

    Without `fullgraph` a break inside a double backward runs and silently never updates; with it, it is an error.

    Args:
        play: how the players move.
        players: whose `gradients` are compiled, at their first call.
        wrap: what becomes of the compiled and the eager function.
        options: of `torch.compile`: backend, mode.
    """
    for player in players:
        player.gradients = wrap(whole(player.gradients, **options), player.gradients)  # type: ignore[method-assign]
    return steady(play)


def compile_iteration(play: Play, players: Sequence[Player], wrap: Wrap = always, **options: Any) -> Play:
    """The whole training step in one graph: all moves, optimizers and constraints.

    What changes from step to step is read by the graph and not built into it: gradients are written over where they
    are, learning rates are tensors, and the first step of all is eager, since it makes the optimizers' state.

    Args:
        play: how the players move.
        players: of whom the optimizers have nothing in Python that changes from step to step.
        wrap: what becomes of the compiled and the eager function.
        options: of `torch.compile`: backend, mode.

    Returns:
        A play of the same players.
    """
    drawn = draws(play, players)
    for player in players:
        for parameter in player.parameters:
            parameter.grad = torch.zeros_like(parameter)
        for group in player.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float64, device=parameter.device)
            group.update({name: False for name in ("fused",) if name in group})  # a compiler fuses them itself
        player.step = InPlace(player)  # type: ignore[method-assign]

    def iteration(batches: Sequence[Batch]) -> dict[str, Tensor]:
        return play(players, iter(batches))

    graph = wrap(whole(iteration, **options), iteration)

    def step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        moved_before = all(player.optimizer.state for player in players)
        return (graph if moved_before else iteration)([next(batches) for _ in range(drawn)])

    return steady(step)


class InPlace:
    """A player's update, as a graph can hold it.

    torch.optim's decorators of `step` break graphs, so what they decorate is called.
    """

    def __init__(self, player: Player):
        self.player = player
        self.update = inspect.unwrap(type(player.optimizer).step)

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Write the gradients, or where processes share a batch the mean of theirs; step."""
        with torch.no_grad():
            torch._foreach_copy_(
                [p.grad for p in self.player.parameters if p.grad is not None], list(average(gradients))
            )
            for group in self.player.optimizer.param_groups:
                group["lr"].clamp_(min=1e-300)  # torch's Adam for graphs divides by it
            self.update(self.player.optimizer)


def or_eager(compiled: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, until it turns out that it cannot be compiled; then one line, and the eager one."""
    chosen = compiled

    def call(*arguments: Any) -> Any:
        nonlocal chosen
        try:
            return chosen(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("not compiled, so it is slower: %s", next(filter(None, map(str.strip, str(error).split("\n")))))
            log.debug("torch.compile", exc_info=error)
            chosen = eager
        return chosen(*arguments)

    return call


def draws(play: Play, players: Sequence[Player]) -> int:
    """How many batches a step draws: counted by players who do not move."""
    drawn = itertools.count()
    still = [
        SimpleNamespace(
            name=player.name,
            updates=player.updates,
            fresh_batches=player.fresh_batches,
            parameters=[torch.zeros(())],
            gradients=lambda batch: ({}, ()),
            step=lambda gradients: None,
            descend=lambda gradients: None,
        )
        for player in players
    ]
    play(still, ({} for _ in drawn))
    return next(drawn)


def whole(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The function as one graph, autograd inside it included, sharing nothing with other functions of the same code."""
    torch._dynamo.config.trace_autograd_ops = True
    return torch.compile(function, fullgraph=True, isolate_recompiles=True, **options)  # type: ignore[call-overload]


def steady(play: Play, warm_up: int = 4) -> Play:
    """The play of compiled parts, which after some steps leaves out the checks that Dynamo makes at every call.

    They ask whether anything that was built into a graph has changed, and cost up to half of a small step. Whatever
    changes from step to step does so in the first steps, and is then an input of the graph.
    """
    done = 0
    torch.compiler.set_stance("default")

    def steady_play(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        nonlocal done
        if done == warm_up:
            torch.compiler.set_stance("default", skip_guard_eval_unsafe=True)
        done += 1
        torch.compiler.cudagraph_mark_step_begin()  # what the last step's graphs put out may be overwritten
        return play(players, batches)

    return steady_play
