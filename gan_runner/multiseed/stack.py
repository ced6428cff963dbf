"""Runs that differ in the seed alone, trained as one: every tensor gets a leading dimension, of seeds.

A player's move is traced once, to a graph of tensor operations in which all derivatives are already taken; the graph is
vectorised over seeds by `torch.func.vmap`, and may be compiled. Optimizers act element by element, so one of them
serves the stacked parameters of all seeds. Every seed keeps its own data and random numbers, so its figures are those
of a run of its own, up to rounding.
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
"""Under this key optimizers count their steps, the one thing that is no tensor of a parameter's shape."""


class Stack:
    """Systems that differ in their seeds, and one more that moves for all of them.

    The tensors of the systems become views of the stacked ones, so whoever looks at one of them sees it trained.

    Args:
        systems: of every seed, ready to train, without channels_last: what is traced depends on the layout.
        whole: built from the same configuration; its tensors are replaced.
        randomness: the states of each seed's random number generators.
        batch: an example of what a player sees.
        compile_move: of every traced move makes what is called.

    Raises:
        ConfigError: the game cannot be stacked.
    """

    def __init__(
        self,
        systems: Sequence[System],
        whole: System,
        randomness: Sequence[dict[str, Any]],
        batch: Batch,
        compile_move: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda move: move,
    ):
        self.systems = systems
        self.whole = whole
        self.randomness = list(randomness)
        for player in whole.players:
            check_elementwise(player.optimizer)
        state = tensors_of(whole)
        moves = {player.name: WithoutUnused(player.move) for player in whole.players}
        traced = {name: Traced(move, list(state.values()), dict(batch)) for name, move in moves.items()}
        constraints = {
            player.name: {name: Traced(silent(part), list(state.values())) for name, part in player.constraints.items()}
            for player in whole.players
        }
        # First trace: with stacked tensors a move would mix the seeds, and `vmap` would add their dimension twice.
        # Then assign `.data`: new tensors would leave optimizers and modules with the old ones.
        # Then the optimizers: what they remember must have the shapes of the stacked parameters.
        seeds = [tensors_of(system) for system in systems]
        for name, tensor in state.items():
            tensor.data = torch.stack([seed[name].data for seed in seeds])
            for seed, own in zip(seeds, tensor.data):
                seed[name].data = own
        self.state = list(state.values())
        for player in whole.players:
            self.stack_optimizers(player, [p for one in systems for p in one.players if p.name == player.name])
            player.move = moves[player.name].restored(self.vectorised(traced[player.name], compile_move))
            player.constraints = {
                name: self.vectorised(constraint, compile_move) for name, constraint in constraints[player.name].items()
            }

    def step(self, batches: Sequence[Iterator[Batch]]) -> dict[str, Tensor]:
        """One training step of all seeds, from the data of each; what they report has a leading dimension of seeds."""
        stacked = (stack_batches([next(seed) for seed in batches]) for _ in itertools.count())
        return self.whole.step(stacked)

    def vectorised(
        self, traced: Traced, compile_move: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """A traced function over stacked arguments, on the stacked state."""
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
        """The random numbers of a move, each seed's from its own generators."""
        if not draws:
            return []
        drawn = []
        for state in self.randomness:
            set_torch_state(state, self.whole.device)
            drawn.append([draw() for draw in draws])
            state.update(torch_state(self.whole.device))
        return [torch.stack(numbers) for numbers in zip(*drawn)]

    @contextmanager
    def randomness_of(self, seed: int) -> Iterator[None]:
        """Inside, random numbers are those of a seed's own run."""
        set_random_state(self.randomness[seed], self.whole.device)
        yield
        self.randomness[seed] = random_state(self.whole.device)

    def stack_optimizers(self, whole: Player, seeds: Sequence[Player]) -> None:
        """What the seeds' optimizers of a player remember, of runs that go on, as the state of the one."""
        for parameter, *own in zip(whole.parameters, *(seed.parameters for seed in seeds)):
            states = [seed.optimizer.state.get(p, {}) for seed, p in zip(seeds, own)]
            for key in states[0]:
                stacked = torch.stack([state[key] for state in states])
                whole.optimizer.state[parameter][key] = stacked[0] if key == COUNT else stacked
        whole.scheduler.load_state_dict(seeds[0].scheduler.state_dict())
        for group, first in zip(whole.optimizer.param_groups, seeds[0].optimizer.param_groups):
            group.update(options_in(first))

    def hand_out(self) -> None:
        """Give the players of every seed its gradients, what its optimizer remembers, its learning rate and phase."""
        for seed, system in enumerate(self.systems):
            for whole, player in zip(self.whole.players, system.players):
                player.updates = whole.updates
                for stacked, own in zip(whole.parameters, player.parameters):
                    own.grad = None if stacked.grad is None else stacked.grad[seed]
                    if stacked in whole.optimizer.state:  # unless no loss has depended on it yet
                        player.optimizer.state[own] = {
                            key: value.clone() if key == COUNT else value[seed]
                            for key, value in whole.optimizer.state[stacked].items()
                        }
                player.scheduler.load_state_dict(whole.scheduler.state_dict())
                for group, own_group in zip(whole.optimizer.param_groups, player.optimizer.param_groups):
                    own_group.update(options_in(group))


def options_in(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options in an optimizer's parameter group, any of which a scheduler may move."""
    return {key: value for key, value in group.items() if key != "params"}


class WithoutUnused:
    """A player's move without the gradients of parameters that it does not use, since `vmap` returns only tensors.

    Args:
        move: a batch → losses by name, gradients.
    """

    def __init__(self, move: Move):
        self.move = move
        self.used: list[bool] = []

    def __call__(self, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The losses, and the gradients of the parameters that are used."""
        losses, gradients = self.move(batch)
        self.used = [gradient is not None for gradient in gradients]
        return losses, [gradient for gradient in gradients if gradient is not None]

    def restored(self, move: Callable[[Batch], tuple[dict[str, Tensor], Sequence[Tensor]]]) -> Move:
        """A move made of this one, with None again where a parameter is unused."""

        def call(batch: Batch) -> tuple[dict[str, Tensor], Gradients]:
            losses, gradients = move(batch)
            remaining = iter(gradients)
            return losses, [next(remaining) if used else None for used in self.used]

        return call


class Traced:
    """A function of modules' tensors as a graph that takes these tensors, and its random numbers, as arguments.

    Args:
        function: of the arguments and of the state, which it may change; called once.
        state: tensors that the function reads and writes where they are.
        arguments: an example.

    Attributes:
        draws: make the random numbers, in the order in which the function drew them.
        graph: state, random numbers, arguments → what the function returns; the state is written at its end.

    Raises:
        ConfigError: the function draws random numbers that depend on others.
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

        with torch.no_grad():  # derivatives are taken already
            self.graph = make_fx(functionalize(replayed, remove="mutations"))(state, drawn, *arguments)


class Replay(Interpreter):
    """Runs a graph, some nodes of which have their values already."""

    def __init__(self, graph: GraphModule, values: Mapping[Node, Tensor]):
        super().__init__(graph)
        self.values = values

    def run_node(self, n: Node) -> Any:
        """The value given, or what the node makes of its arguments."""
        return self.values[n] if n in self.values else super().run_node(n)


def silent(constraint: Callable[[], None]) -> Callable[[], list[Tensor]]:
    """The constraint, as something that returns tensors: none."""

    def call() -> list[Tensor]:
        constraint()
        return []

    return call


def draws_numbers(node: Node) -> bool:
    """Whether a node draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def draw_of(node: Node) -> Callable[[], Tensor]:
    """What draws the numbers of a node anew.

    Raises:
        ConfigError: they depend on more than a shape.
    """
    target: Any = node.target
    others = [argument for argument in node.args if isinstance(argument, Node)]
    if not others:
        return lambda: target(*node.args, **node.kwargs)
    name = target.name().partition(".")[0]  # as in aten::bernoulli_.float
    if others == [node.args[0]] and (name.endswith("_") or "_like" in name):  # numbers of its shape
        made = node.meta["val"]
        shape, options = tuple(made.shape), {"dtype": made.dtype, "device": made.device}
        return lambda: target(torch.empty(shape, **options), *node.args[1:], **node.kwargs)
    raise ConfigError(f"{target} draws by what was computed, which several seeds at a time cannot; leave out seeds")


def tensors_of(system: System) -> dict[str, Tensor]:
    """All parameters and buffers of networks, terms and constraints, by name."""
    memories = {f"player {player.name}": player.stateful_modules() for player in system.players}
    everything = nn.ModuleDict({"networks": nn.ModuleDict(system.networks), **memories})
    return dict(itertools.chain(everything.named_parameters(), everything.named_buffers()))


def stack_batches(batches: Sequence[Batch]) -> Batch:
    """What each seed sees, with a leading dimension of seeds."""
    return {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}


def check_elementwise(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimizer that steps otherwise where parameters are stacked.

    Raises:
        ConfigError: naming it.
    """
    kind = type(optimizer)
    asked = inspect.signature(kind).parameters
    options = {name: value for name, value in optimizer.defaults.items() if name in asked}
    values, gradients = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    together = nn.Parameter(values.clone())
    apart: list[Tensor] = [nn.Parameter(value.clone()) for value in values]
    with suppress(ValueError):  # of those that want matrices
        for parameter, gradient in zip((together, *apart), (gradients, *gradients)):
            one = kind([parameter], **options)
            for _ in range(2):
                parameter.grad = gradient.clone()
                one.step()
    stepped = not torch.equal(together, values)
    if not (stepped and torch.allclose(together, torch.stack(apart))):
        raise ConfigError(
            f"{kind.__name__} does not step element by element, so it cannot descend several seeds at a time; "
            "choose another optimizer, or a sweep: -m seed=0,1,2"
        )
