"""Compile a training step: each player's move as one graph, or the whole iteration.

A wrong graph may run without an error, so tests compare the final parameters of every method with the eager ones.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR

from gan_runner.errors import ConfigError
from gan_runner.optimizers.schedules import LambdaOptions
from gan_runner.players import Gradients, Player
from gan_runner.step import UpdateScheme, batches_per_step
from gan_runner.tools.torch_internals import bare_step, copy_together, is_compiler_error, mark_static, trace_autograd
from gan_runner.turn import Batch

log = logging.getLogger("gan_runner")

MORE_THAN_RATES = (LambdaOptions, CyclicLR, OneCycleLR)
"""Schedulers that change other options than learning rates, which are constants in the graph of an iteration."""

Compile = Literal["auto", "iteration"] | bool

Wrap = Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any]]
"""Takes a compiled function and its eager version, and returns the function to call."""


def no_fallback(graph: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function; errors of the compiler are raised."""
    return graph


def eager_fallback(graph: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, replaced by the eager one after an error of the compiler, which is logged in one line."""
    chosen = graph

    def call(*arguments: Any) -> Any:
        nonlocal chosen
        try:
            return chosen(*arguments)
        except Exception as error:
            if not is_compiler_error(error):
                raise
            reason = next(filter(None, map(str.strip, str(error).split("\n"))))
            log.warning("torch.compile failed, so training runs uncompiled and slower: %s", reason)
            log.debug("torch.compile", exc_info=error)
            chosen = eager
        return chosen(*arguments)

    return call


def compiled(
    what: Compile,
    update_scheme: UpdateScheme,
    players: Sequence[Player],
    device: torch.device,
    wrap: Wrap = eager_fallback,
) -> UpdateScheme:
    """Compile an update scheme as configured; what cannot be compiled stays eager, with a warning.

    Args:
        what: nothing, each move, the whole iteration, or (auto) the moves on a GPU and nothing elsewhere.
        update_scheme: makes a training step.
        players: the players that move.
        device: the device; on a GPU, CUDA graphs are captured.
        wrap: chooses between the compiled and the eager function.

    Raises:
        ConfigError: a scheduler changes more than learning rates, which would be constants in an iteration's graph.
    """
    if not is_wanted(what, device):
        return update_scheme
    if what == "iteration" and any(isinstance(player.scheduler, MORE_THAN_RATES) for player in players):
        raise ConfigError(
            "trainer.compile=iteration fixes the momentum and the betas, which this scheduler changes; "
            "choose trainer.compile=true or another scheduler"
        )
    if what != "iteration":
        return compile_moves(update_scheme, players, wrap=wrap, **options_for(device))
    if device.type == "cuda":
        torch.compiler.reset()  # drops earlier graphs: tracing an optimizer fails where it meets other CUDA graphs
    return compile_iteration(update_scheme, players, wrap=wrap, **options_for(device))


def compiled_graph(what: Compile, graph: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Compile a function of tensors as configured; if it cannot be compiled, it stays eager, with a warning."""
    return eager_fallback(full_graph(graph, **options_for(device)), graph) if is_wanted(what, device) else graph


def is_wanted(what: Compile, device: torch.device) -> bool:
    """Whether to compile anything on this device."""
    return device.type == "cuda" if what == "auto" else bool(what)


def layout(channels_last: bool, what: Compile, device: torch.device) -> torch.memory_format:
    """The memory format of convolution weights: channels_last if configured, except in CUDA graphs.

    On a GPU, Inductor's graphs of transposed convolutions in channels_last raise an error about strides at their first
    run (pytorch/pytorch#171622; seen with torch 2.14.1 on an H100).
    """
    captured = device.type == "cuda" and is_wanted(what, device)
    return torch.channels_last if channels_last and not captured else torch.contiguous_format


def options_for(device: torch.device) -> dict[str, Any]:
    """Options of `torch.compile`: on a GPU, CUDA graphs in the memory format of the networks (see `layout`)."""
    return {"options": {"triton.cudagraphs": True, "layout_optimization": False}} if device.type == "cuda" else {}


def compile_moves(
    update_scheme: UpdateScheme, players: Sequence[Player], wrap: Wrap = no_fallback, **options: Any
) -> UpdateScheme:
    """Compile each player's move as one graph: forward pass, losses, penalties, double backward.

    With `fullgraph`, a graph break inside a double backward is an error; without it, the networks are never updated.

    Args:
        update_scheme: makes a training step.
        players: their `move` is replaced by a graph, compiled at its first call.
        wrap: chooses between the compiled and the eager function.
        options: of `torch.compile`: backend, options.
    """
    for player in players:
        player.move = wrap(full_graph(player.move, **options), player.move)
    return mark_steps(update_scheme)


def compile_iteration(
    update_scheme: UpdateScheme, players: Sequence[Player], wrap: Wrap = no_fallback, **options: Any
) -> UpdateScheme:
    """Compile the whole training step, one graph per phase: all moves, optimizers and constraints.

    Everything that changes from step to step is an input of the graph: gradients are written in place, and learning
    rates are tensors. The first step is eager, since it creates the optimizers' state.

    Args:
        update_scheme: makes a training step.
        players: their `update` is replaced by one that writes in place.
        wrap: chooses between the compiled and the eager function.
        options: of `torch.compile`: backend, options.

    Returns:
        An update scheme for the same players.
    """
    for player in players:
        prepare_for_graph(player)  # first: InPlace writes into the gradients that it creates
        player.update = InPlace(player)
    # Read after `prepare_for_graph`, which turns them into tensors: a number would be a constant of the graph.
    rates = [group["lr"] for player in players for group in player.optimizer.param_groups]
    phases: dict[tuple[int, ...], Callable[[Iterator[Batch]], dict[str, Tensor]]] = {}

    def step(_: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        for rate in rates:
            rate.clamp_(min=1e-30)  # torch's Adam for graphs divides by it, in fp32; CUDA graphs may not write to it
        phase = tuple(player.updates for player in players)
        if phase not in phases:  # a new graph: with `skip_guards` the old one would repeat the last phase's moves
            phases[phase] = compile_phase(update_scheme, players, wrap, **options)
        return phases[phase](batches)

    return mark_steps(step)


def compile_phase(
    update_scheme: UpdateScheme, players: Sequence[Player], wrap: Wrap, **options: Any
) -> Callable[[Iterator[Batch]], dict[str, Tensor]]:
    """Compile the training step of the current phase, in which each player makes its current number of moves."""
    drawn = batches_per_step(update_scheme, players)

    def iteration(batches: Sequence[Batch]) -> dict[str, Tensor]:
        return update_scheme(players, iter(batches))

    graph = wrap(full_graph(iteration, **options), iteration)
    has_state = all(player.optimizer.state for player in players if player.updates)  # in a resumed run
    mark_state_static(players)

    def step(batches: Iterator[Batch]) -> dict[str, Tensor]:
        nonlocal has_state
        if has_state:
            return graph([next(batches) for _ in range(drawn)])
        report = iteration([next(batches) for _ in range(drawn)])
        has_state = True
        mark_state_static(players)
        return report

    return step


def prepare_for_graph(player: Player) -> None:
    """Put everything that the graph reads into fixed tensors: gradients, learning rates, on a GPU Adam's step count.

    In a resumed run, the losses do not depend on a parameter that has no optimizer state.
    """
    device, optimizer = player.parameters[0].device, player.optimizer
    for parameter in player.parameters:
        unused = optimizer.state and parameter not in optimizer.state
        parameter.grad = None if unused else torch.zeros_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"], dtype=torch.float64, device=device)
        if "fused" in group:
            group["fused"] = False  # the compiler fuses the update itself
        if "capturable" in group:
            group["capturable"] = device.type == "cuda"
    for state in optimizer.state.values():
        if "step" in state and device.type == "cuda":
            state["step"] = state["step"].to(device)


def mark_state_static(players: Sequence[Player]) -> None:
    """Mark optimizer state static so that CUDA graphs can be captured: they write only to fixed addresses."""
    for player in players:
        for state in player.optimizer.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    mark_static(value)


class InPlace:
    """A player's update that can be part of a graph: it writes the gradients over those of the step before.

    Args:
        player: a player after `prepare_for_graph`.
    """

    def __init__(self, player: Player):
        self.player = player
        self.optimizer_step = bare_step(type(player.optimizer))

    def __call__(self, gradients: Gradients) -> None:
        """Write the gradients and step. The first, eager step finds the parameters without a gradient."""
        targets, sources = [], []
        for parameter, gradient in zip(self.player.parameters, gradients):
            if parameter.grad is None or gradient is None:
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            else:
                targets.append(parameter.grad)
                sources.append(gradient)
        with torch.no_grad():
            copy_together(targets, sources)
            self.optimizer_step(self.player.optimizer)


def full_graph(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile a function, with the autograd inside it, as one graph; two functions with the same code share nothing."""
    trace_autograd()
    graph = torch.compile(function, fullgraph=True, isolate_recompiles=True, **options)  # type: ignore[call-overload]
    return skip_guards(graph)


def skip_guards(graph: Callable[..., Any], warm_up: int = 8) -> Callable[..., Any]:
    """Skip Dynamo's guards of a compiled function after `warm_up` calls.

    Guards check at every call that the graph's constants are unchanged, and cost up to half of a small step. Values
    that vary do so within the first calls and become inputs of the graph. If one changes later, Dynamo finds no graph
    that fits, and from then on the guards stay on.
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


def mark_steps(update_scheme: UpdateScheme) -> UpdateScheme:
    """The update scheme; before each step it lets CUDA graphs overwrite the outputs of the last step."""

    def step(players: Sequence[Player], batches: Iterator[Batch]) -> dict[str, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        return update_scheme(players, batches)

    return step
