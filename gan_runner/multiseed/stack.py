"""Train runs that differ only in the seed as one: every tensor gets a leading dimension of seeds.

A player's move is traced once, to a graph of tensor operations that includes all derivatives. The graph is vectorised
over seeds by `torch.func.vmap`, and may be compiled. Optimizers act element by element, so one optimizer serves the
stacked parameters of all seeds. Every seed has its own data and random numbers, so its results are those of a separate
run, up to rounding.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functionalize, vmap
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx

from gan_runner.errors import ConfigError
from gan_runner.players import Gradients, Move, Player
from gan_runner.runs.checkpoints import random_state, set_random_state, set_torch_state, torch_state
from gan_runner.system import System
from gan_runner.turn import Batch

COUNT = "step"
"""The key of an optimizer's step count, its only state that does not have the shape of a parameter."""


class Stack:
    """The systems of several seeds, and one joint system that is trained in their place.

    The tensors of each seed's system become views of the joint system's stacked tensors, so its weights are up to date.

    Args:
        systems: one per seed, ready to train, without channels_last, because tracing depends on the memory layout.
        joint: a system built from the same configuration; its tensors are replaced by stacked ones.
        randomness: the states of each seed's random number generators.
        batch: an example of a batch.
        compile_move: compiles a traced move.

    Raises:
        ConfigError: the game cannot be stacked.
    """

    def __init__(
        self,
        systems: Sequence[System],
        joint: System,
        randomness: Sequence[dict[str, Any]],
        batch: Batch,
        compile_move: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda move: move,
    ):
        self.systems = systems
        self.joint = joint
        self.randomness = list(randomness)
        for player in joint.players:
            check_elementwise(player.optimizer)
        state = tensors_of(joint)
        moves = {player.name: WithoutUnused(player.move) for player in joint.players}
        traced = {name: Traced(move, list(state.values()), dict(batch)) for name, move in moves.items()}
        constraints = {
            player.name: {name: Traced(silent(part), list(state.values())) for name, part in player.constraints.items()}
            for player in joint.players
        }
        # First trace: with stacked tensors a move would mix the seeds, and `vmap` would add their dimension twice.
        # Then assign `.data`: new tensors would leave optimizers and modules with the old ones.
        # Then stack the optimizers: their state must have the shapes of the stacked parameters.
        seeds = [tensors_of(system) for system in systems]
        for name, tensor in state.items():
            tensor.data = torch.stack([seed[name].data for seed in seeds])
            for seed, own in zip(seeds, tensor.data):
                seed[name].data = own
        self.state = list(state.values())
        for player in joint.players:
            self.stack_optimizers(player, [p for one in systems for p in one.players if p.name == player.name])
            player.move = moves[player.name].restored(self.vectorised(traced[player.name], compile_move))
            player.constraints = {
                name: self.vectorised(constraint, compile_move) for name, constraint in constraints[player.name].items()
            }

    def step(self, batches: Sequence[Iterator[Batch]]) -> dict[str, Tensor]:
        """One training step of all seeds, each on its own data. Reported values have a leading dimension of seeds."""
        stacked = (stack_batches([next(seed) for seed in batches]) for _ in itertools.count())
        return self.joint.step(stacked)

    def vectorised(
        self, traced: Traced, compile_move: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """A traced function, vectorised over seeds: it takes stacked arguments and changes the stacked state."""
        move: Callable[..., Any] | None = None

        def call(*arguments: Any) -> Any:
            nonlocal move
            drawn = self.draw(traced.draws)
            with torch.no_grad():
                if move is None:
                    state, numbers = ([tensor.clone() for tensor in some] for some in (self.state, drawn))
                    move = compile_move(make_fx(vmap(traced.graph))(state, numbers, *arguments))
                return move(self.state, drawn, *arguments)

        return call

    def draw(self, draws: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """The random numbers of a move, stacked; each seed draws from its own generators."""
        if not draws:
            return []
        drawn = []
        for state in self.randomness:
            set_torch_state(state, self.joint.device)
            drawn.append([draw() for draw in draws])
            state.update(torch_state(self.joint.device))
        return [torch.stack(numbers) for numbers in zip(*drawn)]

    @contextmanager
    def randomness_of(self, seed: int) -> Iterator[None]:
        """Context in which the random number generators are those of a seed."""
        set_random_state(self.randomness[seed], self.joint.device)
        yield
        self.randomness[seed] = random_state(self.joint.device)

    def stack_optimizers(self, joint: Player, seeds: Sequence[Player]) -> None:
        """Stack the state of the seeds' optimizers of a player, as of resumed runs, in the joint player's optimizer."""
        for parameter, *own in zip(joint.parameters, *(seed.parameters for seed in seeds)):
            states = [seed.optimizer.state.get(p, {}) for seed, p in zip(seeds, own)]
            for key in states[0]:
                stacked = torch.stack([state[key] for state in states])
                joint.optimizer.state[parameter][key] = stacked[0] if key == COUNT else stacked
        joint.scheduler.load_state_dict(seeds[0].scheduler.state_dict())
        for group, first in zip(joint.optimizer.param_groups, seeds[0].optimizer.param_groups):
            group.update(options_in(first))

    def scatter_state(self) -> None:
        """Copy gradients, optimizer state, learning rates and phase of the joint system to every seed's players."""
        for seed, system in enumerate(self.systems):
            for joint, player in zip(self.joint.players, system.players):
                player.updates = joint.updates
                for stacked, own in zip(joint.parameters, player.parameters):
                    own.grad = None if stacked.grad is None else stacked.grad[seed]
                    if stacked in joint.optimizer.state:  # unless no loss has depended on it yet
                        player.optimizer.state[own] = {
                            key: value.clone() if key == COUNT else value[seed]
                            for key, value in joint.optimizer.state[stacked].items()
                        }
                player.scheduler.load_state_dict(joint.scheduler.state_dict())
                player.rate = joint.rate
                for group, own_group in zip(joint.optimizer.param_groups, player.optimizer.param_groups):
                    own_group.update(options_in(group))


def options_in(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options in an optimizer's parameter group, which a scheduler may change."""
    return {key: value for key, value in group.items() if key != "params"}


class WithoutUnused:
    """A player's move that returns no gradients for unused parameters, because `vmap` returns only tensors, not None.

    Args:
        move: maps a batch to losses by name and gradients.
    """

    def __init__(self, move: Move):
        self.move = move
        self.used: list[bool] = []

    def __call__(self, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The losses, and the gradients of the used parameters."""
        losses, gradients = self.move(batch)
        self.used = [gradient is not None for gradient in gradients]
        return losses, [gradient for gradient in gradients if gradient is not None]

    def restored(self, move: Callable[[Batch], tuple[dict[str, Tensor], Sequence[Tensor]]]) -> Move:
        """Convert such a move back: None is the gradient of an unused parameter."""

        def call(batch: Batch) -> tuple[dict[str, Tensor], Gradients]:
            losses, gradients = move(batch)
            remaining = iter(gradients)
            return losses, [next(remaining) if used else None for used in self.used]

        return call


class Traced:
    """A traced function whose state and random numbers became arguments.

    Args:
        function: a function of the arguments that may also read and change the state; it is called once.
        state: the tensors that the function reads and changes in place.
        arguments: example arguments.

    Attributes:
        draws: functions that draw the random numbers, in the function's order.
        graph: maps state, random numbers and arguments to the function's result, and writes the new state.

    Raises:
        ConfigError: the function draws random numbers whose distribution depends on computed values.
    """

    def __init__(self, function: Callable[..., Any], state: list[Tensor], *arguments: Any):
        before = torch.get_rng_state()
        traced = make_fx(lambda state, *arguments: function(*arguments))(state, *arguments)
        random = [node for node in traced.graph.nodes if draws_numbers(node)]
        self.draws = [draw_of(node) for node in random]
        drawn = [draw() for draw in self.draws]
        torch.set_rng_state(before)

        def replayed(state: list[Tensor], drawn: list[Tensor], *arguments: Any) -> Any:
            return Replay(traced, dict(zip(random, drawn))).run(state, *arguments)

        with torch.no_grad():  # the graph includes all derivatives
            self.graph = make_fx(functionalize(replayed, remove="mutations"))(state, drawn, *arguments)


class Replay(Interpreter):
    """Runs a graph in which some nodes have given values."""

    def __init__(self, graph: GraphModule, values: Mapping[Node, Tensor]):
        super().__init__(graph)
        self.values = values

    def run_node(self, n: Node) -> Any:
        """The given value, or the node's result."""
        return self.values[n] if n in self.values else super().run_node(n)


def silent(constraint: Callable[[], None]) -> Callable[[], list[Tensor]]:
    """Wrap a constraint to return an empty list instead of None."""

    def call() -> list[Tensor]:
        constraint()
        return []

    return call


def draws_numbers(node: Node) -> bool:
    """Whether a node of a graph draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def draw_of(node: Node) -> Callable[[], Tensor]:
    """A function that draws new random numbers like a node does.

    Raises:
        ConfigError: their distribution depends on computed values, not only on a shape.
    """
    target: Any = node.target
    others = [argument for argument in node.args if isinstance(argument, Node)]
    if not others:
        return lambda: target(*node.args, **node.kwargs)
    name = target.name().partition(".")[0]  # from a name such as aten::bernoulli_.float
    if others == [node.args[0]] and (name.endswith("_") or "_like" in name):  # only the shape of the argument matters
        made = node.meta["val"]
        shape, options = tuple(made.shape), {"dtype": made.dtype, "device": made.device}
        return lambda: target(torch.empty(shape, **options), *node.args[1:], **node.kwargs)
    raise ConfigError(
        f"{target} draws random numbers whose distribution depends on computed values, which is not possible with "
        "seeds=; leave out seeds=, and sweep instead: -m seed=0,1,2"
    )


def tensors_of(system: System) -> dict[str, Tensor]:
    """All parameters and buffers of networks, terms and constraints, by name."""
    memories = {f"player {player.name}": player.stateful_modules() for player in system.players}
    everything = nn.ModuleDict({"networks": nn.ModuleDict(system.networks), **memories})
    return dict(itertools.chain(everything.named_parameters(), everything.named_buffers()))


def stack_batches(batches: Sequence[Batch]) -> Batch:
    """The batches of all seeds, stacked along a leading dimension."""
    return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}


def check_elementwise(optimizer: torch.optim.Optimizer) -> None:
    """Check that an optimizer acts element by element, so that stacking parameters does not change its steps.

    Raises:
        ConfigError: it does not.
    """
    kind = type(optimizer)
    asked = inspect.signature(kind).parameters
    options = {name: value for name, value in optimizer.defaults.items() if name in asked}
    values, gradients = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    together = nn.Parameter(values.clone())
    apart: list[Tensor] = [nn.Parameter(value.clone()) for value in values]
    with suppress(ValueError):  # raised by optimizers that require matrices
        for parameter, gradient in zip((together, *apart), (gradients, *gradients)):
            one = kind([parameter], **options)
            for _ in range(2):
                parameter.grad = gradient.clone()
                one.step()
    stepped = not torch.equal(together, values)
    if not (stepped and torch.allclose(together, torch.stack(apart))):
        raise ConfigError(
            f"{kind.__name__} does not step element by element, so it cannot train several seeds at once; choose "
            "another optimizer, or sweep instead: -m seed=0,1,2"
        )
