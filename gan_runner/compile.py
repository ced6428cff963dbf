"""How a training step is compiled: each player's move in one graph, or the whole iteration.

A graph that is wrong may run and say nothing, so every method is tested by the parameters that it ends with.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor

from gan_runner.distributed.sharding import all_reduce_mean
from gan_runner.errors import ConfigError
from gan_runner.players import Player
from gan_runner.step import Play
from gan_runner.turn import Batch

log = logging.getLogger("gan_runner")


Compile = Literal["auto", "iteration"] | bool


Wrap = Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any]]
"""A compiled function, the same uncompiled → what is called."""


def always(graph: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, come what may."""
    return graph


COMPILER = ("torch._dynamo.", "torch._inductor.")
"""Where its errors come from; it is not imported before it is needed."""


def or_eager(graph: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, until it turns out that it cannot be compiled; then one line, and the eager one."""
    chosen = graph

    def call(*arguments: Any) -> Any:
        nonlocal chosen
        try:
            return chosen(*arguments)
        except Exception as error:
            if not type(error).__module__.startswith(COMPILER):
                raise
            log.warning("not compiled, so it is slower: %s", next(filter(None, map(str.strip, str(error).split("\n")))))
            log.debug("torch.compile", exc_info=error)
            chosen = eager
        return chosen(*arguments)

    return call


def compiled(what: Compile, play: Play, players: Sequence[Player], device: torch.device, wrap: Wrap = or_eager) -> Play:
    """The play, compiled as the configuration says; what cannot be compiled goes on as it is, after one line.

    Args:
        what: nothing, each move, the whole iteration, or (auto) the moves on a GPU and nothing elsewhere.
        play: how the players move.
        players: who move.
        device: where; on a GPU what is compiled is captured as CUDA graphs.
        wrap: what becomes of the compiled and the eager function.

    Raises:
        ConfigError: a schedule moves more than learning rates, which a graph of an iteration would not notice.
    """
    if not wanted(what, device):
        return play
    if what == "iteration" and not all(getattr(player.scheduler, "fits_one_graph", True) for player in players):
        raise ConfigError("trainer.compile=iteration would keep the momentum as it is; choose trainer.compile=true")
    if what != "iteration":
        return compile_moves(play, players, wrap=wrap, **options_for(device))
    if device.type == "cuda":
        torch.compiler.reset()  # drops what was compiled before: in an optimizer, Dynamo trips over other CUDA graphs
    return compile_iteration(play, players, wrap=wrap, **options_for(device))


def compiled_graph(what: Compile, graph: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A function of tensors, compiled as the configuration says, or as it is after one line."""
    return or_eager(whole_graph(graph, **options_for(device)), graph) if wanted(what, device) else graph


def wanted(what: Compile, device: torch.device) -> bool:
    """Whether anything is to be compiled."""
    return device.type == "cuda" if what == "auto" else bool(what)


def layout(channels_last: bool, what: Compile, device: torch.device) -> torch.memory_format:
    """How the weights of convolutions lie in memory: with channels together if that is wanted, but not in CUDA graphs.

    Of transposed convolutions whose channels lie together, Inductor's graphs end at their first run on a GPU, with an
    error about strides (pytorch/pytorch#171622; seen with torch 2.14.1 on an H100).
    """
    captured = device.type == "cuda" and wanted(what, device)
    return torch.channels_last if channels_last and not captured else torch.contiguous_format


def options_for(device: torch.device) -> dict[str, Any]:
    """Of `torch.compile`: on a GPU, CUDA graphs, and no layouts but those that networks have (see `layout`)."""
    return {"options": {"triton.cudagraphs": True, "layout_optimization": False}} if device.type == "cuda" else {}


def compile_moves(play: Play, players: Sequence[Player], wrap: Wrap = always, **options: Any) -> Play:
    """Each player's pure move in one graph: forward, losses, penalties, double backward.

    Without `fullgraph` a break inside a double backward runs and silently never updates; with it, it is an error.

    Args:
        play: how the players move.
        players: whose `gradients` are compiled, at their first call.
        wrap: what becomes of the compiled and the eager function.
        options: of `torch.compile`: backend, options.
    """
    for player in players:
        player.gradients = wrap(whole_graph(player.gradients, **options), player.gradients)  # type: ignore[method-assign]
    return marking_steps(play)


def compile_iteration(play: Play, players: Sequence[Player], wrap: Wrap = always, **options: Any) -> Play:
    """The whole training step in one graph: all moves, optimizers and constraints.

    What changes from step to step is read by the graph and not built into it: gradients are written over where they
    are, learning rates are tensors, and the first step of all is eager, since it makes the optimizers' state.

    Args:
        play: how the players move.
        players: of whom the optimizers have nothing in Python that changes from step to step.
        wrap: what becomes of the compiled and the eager function.
        options: of `torch.compile`: backend, options.

    Returns:
        A play of the same players.
    """
    drawn = draws(play, players)
    for player in players:
        prepare_for_graph(player)
        player.step = InPlace(player)  # type: ignore[method-assign]

    def iteration(batches: Sequence[Batch]) -> dict[str, Tensor]:
        return play(players, iter(batches))

    graph = wrap(whole_graph(iteration, **options), iteration)
    begun = all(player.optimizer.state for player in players)  # in a run that goes on
    hold_still(players)
    rates = [group["lr"] for player in players for group in player.optimizer.param_groups]

    def step(_: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        nonlocal begun
        for rate in rates:
            rate.clamp_(min=1e-30)  # torch's Adam for graphs divides by it, in fp32; CUDA graphs may not write to it
        if begun:
            return graph([next(batches) for _ in range(drawn)])
        report = iteration([next(batches) for _ in range(drawn)])
        begun = True
        hold_still(players)
        return report

    return marking_steps(step)


def prepare_for_graph(player: Player) -> None:
    """Make what a graph reads a tensor that stays where it is: gradients, learning rates, on a GPU Adam's count."""
    device = player.parameters[0].device
    for parameter in player.parameters:
        parameter.grad = torch.zeros_like(parameter)
    for group in player.optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"], dtype=torch.float64, device=device)
        if "fused" in group:
            group["fused"] = False  # a compiler fuses by itself
        if "capturable" in group:
            group["capturable"] = device.type == "cuda"
    for state in player.optimizer.state.values():
        if "step" in state and device.type == "cuda":
            state["step"] = state["step"].to(device)


def hold_still(players: Sequence[Player]) -> None:
    """Promise that what optimizers remember stays where it is: CUDA graphs write to nothing else, and are given up."""
    for player in players:
        for state in player.optimizer.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    torch._dynamo.mark_static_address(value)


class InPlace:
    """A player's update, as a graph can hold it.

    torch.optim's decorators of `step` break graphs, so what they decorate is called.
    """

    def __init__(self, player: Player):
        self.player = player
        self.update = inspect.unwrap(type(player.optimizer).step)
        player.optimizer._opt_called = True  # type: ignore[attr-defined]  # or its scheduler would warn that it never is

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Write the gradients, or where processes share a batch the mean of theirs; step."""
        with torch.no_grad():
            kept = [parameter.grad for parameter in self.player.parameters]
            torch._foreach_copy_(kept, list(all_reduce_mean(gradients)))  # type: ignore[arg-type]
            self.update(self.player.optimizer)


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


def whole_graph(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The function as one graph, autograd inside it included, sharing nothing with other functions of the same code."""
    torch._dynamo.config.trace_autograd_ops = True
    graph = torch.compile(function, fullgraph=True, isolate_recompiles=True, **options)  # type: ignore[call-overload]
    return steady(graph)


def steady(graph: Callable[..., Any], warm_up: int = 8) -> Callable[..., Any]:
    """The compiled function, which after some calls leaves out the checks that Dynamo makes at every one.

    They ask whether anything that was built into a graph has changed, and cost up to half of a small step. Whatever
    changes from call to call does so in the first ones, and is then an input of the graph. If it still changes later,
    Dynamo notices that no graph fits, and from then on everything is checked again.
    """
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls, warm_up
        calls += 1
        if calls > warm_up:
            try:
                with torch.compiler.set_stance("default", skip_guard_eval_unsafe=True):
                    return graph(*arguments)
            except RuntimeError as error:
                if "skip_guard_eval_unsafe" not in str(error):
                    raise
                calls, warm_up = 0, sys.maxsize
        return graph(*arguments)

    return call


def marking_steps(play: Play) -> Play:
    """The play, which tells CUDA graphs that what the last step put out may be overwritten."""

    def step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        return play(players, batches)

    return step
