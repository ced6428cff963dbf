"""From a checked configuration to networks and players. No file is read here and nothing is written."""

from __future__ import annotations

import copy
import inspect
import random
import re
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from textwrap import shorten
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from gan_runner import distributed
from gan_runner.choices import brought_by, choices, options_in, typed
from gan_runner.compilation import layout
from gan_runner.config import build, constructor_calls, did_you_mean, locate, type_hints
from gan_runner.datasets import Data, Dataset
from gan_runner.errors import CheckpointError, ConfigError
from gan_runner.losses import Evaluated, Identifies, generator_slope
from gan_runner.models.encoders import Posterior
from gan_runner.optimizers.eager import eager
from gan_runner.pictures import Field, Surface
from gan_runner.players import Arrangement, Game, Player, plain
from gan_runner.precision import HALF
from gan_runner.requirements import check_requirements
from gan_runner.step import Play
from gan_runner.terms import generator_loss
from gan_runner.turn import Batch


@dataclass
class Parts:
    """What plays.

    Attributes:
        dataset: the recipe for the data.
        game: who sees what.
        networks: all networks, by name.
        players: in the order in which they move.
        play: how they move in a training step; returns what they report.
        device: where everything lives.
        loss: what the scores of data mean, or what is descended in their place; None if there is neither.
    """

    dataset: Dataset
    game: Game
    networks: dict[str, nn.Module]
    players: list[Player]
    play: Play
    device: torch.device
    loss: Any = None

    def step(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        """One training step: the players play, and their learning rates go on; what they report, on the device."""
        report = self.play(self.players, batches)
        for player in self.players:
            player.scheduler.step()
        return report

    def seen(self, data: Data) -> Data:
        """What the players see of the data: all of it, unless the game hides some."""
        return self.game.seen(self.dataset, data) if hasattr(self.game, "seen") else data

    def sampling_networks(self) -> dict[str, nn.Module]:
        """The networks that samples are drawn from: averaged ones where a player keeps averages."""
        networks = dict(self.networks)
        for player in self.players:
            for constraint in player.constraints.values():
                networks.update(dict(getattr(constraint, "averages", {}).items()))
        return networks

    @torch.no_grad()
    def sample(self, noise: Tensor, chunk: int = 512) -> Tensor:
        """Samples (n, *shape) for such rows of `noise` (n, …), networks in evaluation mode, a chunk at a time."""
        networks = self.sampling_networks()
        with evaluating(networks):
            return torch.cat([self.game.sample(networks, part) for part in noise.split(chunk)])

    @torch.no_grad()
    def criticise(self, x: Tensor, rows: Tensor | None = None, chunk: int = 512) -> Tensor:
        """The critic's scores (n,) of points (n, *shape), in evaluation mode, a chunk at a time.

        A critic that is told conditions needs the `rows` (n, …) that these samples were made from. For a critic that
        looks at a whole batch (minibatch discrimination), the chunk is that batch.
        """
        beside = repeat(None) if rows is None else rows.split(chunk)
        with evaluating(self.networks):
            parts = zip(x.to(self.device).split(chunk), beside)
            return torch.cat([self.game.criticise(self.networks, part, row) for part, row in parts])

    @property
    def judges_points(self) -> bool:
        """Whether there is a critic that has scores of points alone: one, and not another beside each condition."""
        return hasattr(self.game, "criticise") and self.game.judges_points(self.networks)

    def classify(self, x: Tensor) -> Tensor:
        """The logits (n, classes) that a game which classifies has of data x (n, *shape)."""
        return self.looked_at(self.game.classify, x)

    def recognise(self, x: Tensor) -> Tensor:
        """What a game that reads codes makes of those of data x (n, *shape): (n, …)."""
        return self.looked_at(self.game.recognise, x)

    @property
    def other_fakes(self) -> str | None:
        """What a term has the critic tell from data beside samples, so that the ratio that it knows is not theirs."""
        weighed = [(term, player.weights[name]) for player in self.players for name, term in player.terms.items()]
        others = [getattr(getattr(term, "func", term), "other_fakes", None) for term, weight in weighed if weight]
        return next(filter(None, others), None)

    @property
    def identifies(self) -> Identifies | None:
        """What an optimal critic would know of the densities of data and samples, if there is one and it knows any."""
        return None if self.other_fakes else getattr(self.loss, "identifies", None)

    @property
    def encoder(self) -> Callable[..., Posterior] | None:
        """Networks, data (n, *shape) → q(z|x): as the game has it, or backwards through a flow."""
        if hasattr(self.game, "encode") and self.game.encodes(self.networks):
            return self.game.encode
        if hasattr(self.networks.get("generator"), "encode"):
            return lambda networks, x: networks["generator"].encode(x)
        return None

    def encode(self, x: Tensor, seed: int = 0) -> Tensor:
        """The codes (n, latent_dim) that stand for data x (n, *shape), where there is an `encoder`.

        An encoder that has no mean draws them, by this seed: other data takes another.
        """
        return self.looked_at(lambda networks, x: self.posterior(networks, x).mean, x, seed)

    def draw_codes(self, x: Tensor, seed: int) -> Tensor:
        """A draw (n, latent_dim) of q(z|x) for each of the data x (n, *shape), where there is an `encoder`."""
        return self.looked_at(lambda networks, x: self.posterior(networks, x).codes, x, seed)

    def posterior(self, networks: Mapping[str, nn.Module], x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape), where there is an `encoder`."""
        assert self.encoder is not None
        return self.encoder(networks, x)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) in nats that a generator which has one gives to data x (n, *shape)."""
        return self.looked_at(lambda networks, x: networks["generator"].log_prob(x), x)

    @torch.no_grad()
    def looked_at(self, look: Callable[..., Tensor], x: Tensor, seed: int = 0, chunk: int = 512) -> Tensor:
        """What a game makes of data x (n, *shape) by averaged weights, in evaluation mode, a chunk at a time.

        What is drawn for it is the same for the same seed, and a run's own random numbers stay as they are.
        """
        networks = self.sampling_networks()
        own = [self.device] if self.device.type == "cuda" else []
        with evaluating(networks), torch.random.fork_rng(own):
            torch.manual_seed(seed)
            return torch.cat([look(networks, part) for part in x.to(self.device).split(chunk)])

    def reconstruct(self, x: Tensor, seed: int = 0) -> Tensor:
        """What comes back of data x (n, *shape) when it is made anew from its codes: (n, *shape)."""
        return self.sample(self.encode(x, seed))

    def paths(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """What is made on the way from the code of each of the first data (n, *shape) to that of its second.

        Returns:
            (n, steps, *shape), the first and the last of them reconstructions.
        """
        codes = self.game.latent.path(self.encode(first), self.encode(second), steps)
        return self.sample(codes).unflatten(0, (len(first), steps))

    def surface(self) -> Surface | None:
        """What the critic makes of any point: the log density ratio where its loss implies one, else its score.

        None where there is no one surface: nobody judges, or the critic judges points beside conditions.
        """
        if not self.judges_points:
            return None
        if self.identifies in ("ratio", "relative"):
            return Surface("the critic's log ratio p/q", lambda x: self.loss.log_ratio(self.criticise(x)), centred=True)
        return Surface("the critic's score", self.criticise)

    def field(self, real: Tensor, samples: Tensor) -> Field | None:
        """Where the generator's loss would move a fake, if it is a function of scores of points and is descended.

        That is −n ∂L/∂xᵢ for the mean loss L of n fakes: how a fake at x would move that is one among the `samples`
        (n, *shape), compared, where a loss does so, with the data `real` (n, *shape). Networks are in evaluation mode.
        """
        terms = [(term, player.weights[name]) for player in self.players for name, term in player.terms.items()]
        descended = any(getattr(term, "func", None) is generator_loss and weight for term, weight in terms)
        if not (descended and self.judges_points):
            return None
        scores = Evaluated(self.criticise(real), self.criticise(samples))
        return Field("−∇ of the generator's loss", lambda x: self.push(x, scores))

    def push(self, x: Tensor, among: Evaluated, chunk: int = 512) -> Tensor:
        """Where the generator's loss would move fakes at x (n, *shape), each one `among` others: (n, *shape).

        For a critic that looks at a whole batch (minibatch discrimination), the chunk is that batch.
        """
        moves = []
        for part in x.to(self.device).split(chunk):
            points = part.clone().requires_grad_()
            with evaluating(self.networks), torch.enable_grad():
                scores = self.game.criticise(self.networks, points)
                (slope,) = torch.autograd.grad(scores, points, generator_slope(self.loss, scores.detach(), among))
            moves.append(-slope)
        return torch.cat(moves)

    def noise(self, n: int, seed: int) -> Tensor:
        """What n samples are made from, the same for the same seed, whatever the device: latents, and conditions."""
        generator = torch.Generator().manual_seed(seed)
        return self.game.noise(self.networks, n, generator).to(self.device)

    def noise_like(self, load: Callable[[], Data], n: int, seed: int) -> Tensor:
        """The same with conditions of other data than is trained on, which is read if the game has any."""
        if not hasattr(self.game, "noise_like"):
            return self.noise(n, seed)
        generator = torch.Generator().manual_seed(seed)
        return self.game.noise_like(self.networks, load(), n, generator).to(self.device)

    def arranged(self, n: int, seed: int) -> Arrangement:
        """The same rows to be drawn for the same seed, whatever the device, in the order in which they are shown."""
        arrangement = self.game.arranged(self.networks, n, torch.Generator().manual_seed(seed))
        return replace(arrangement, noise=arrangement.noise.to(self.device))

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
                check_alike(*map(plain, (player.scheduler.state_dict(), state["players"][player.name]["scheduler"])))
                player.load_state_dict(state["players"][player.name], (changed or {}).get(player.name, ()))
        except MISFIT as error:
            reason = shorten(str(error), 200, placeholder=" …")
            raise CheckpointError(
                f"the checkpoint does not fit the networks and players of this configuration ({reason})"
            ) from error


MISFIT = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)
"""What is raised for a state that is of something else."""


def check_alike(own: Any, other: Any) -> None:
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
            check_alike(own[name], other[name])
    elif isinstance(own, list | tuple):
        for mine, its in zip(own, other):
            check_alike(mine, its)


class evaluating:  # noqa: N801  (a context, read as a verb)
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


def choose_device(name: str) -> torch.device:
    """`auto` is the first GPU if there is one; of several processes, each has one of its own.

    Raises:
        ConfigError: if the device is not there.
    """
    name = distributed.present.device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise ConfigError(f"trainer.device={name} cannot be used ({reason}); choose auto or cpu") from error
    return device


def build_parts(config: DictConfig) -> Parts:
    """Everything that plays, freshly initialised from `seed`.

    Raises:
        ConfigError: a part refuses its options, or does not go with another.
    """
    device = choose_device(config.trainer.device)
    dataset = build("dataset", config.dataset)
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    game = build("game", config.game)
    check_owners(config)
    check_networks(config)
    names = networks_of(config)
    of_all = {"shape": dataset.shape, "bounded": dataset.bounded, "latent_dim": game.latent.dim}
    facts = of_all | facts_of(game, dataset)
    memory_format = layout(config.trainer.channels_last, config.trainer.compile, device)
    networks: dict[str, nn.Module] = {}
    for name in names:
        networks[name] = build_network(name, config, facts).to(device).to(memory_format=memory_format)
        if hasattr(networks[name], "num_features"):  # which those that come after may read
            facts["num_features"] = networks[name].num_features
    for name, network in networks.items():
        if config.trainer.batch_size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
            raise ConfigError(
                f"trainer.batch_size=1 leaves model.{name}.norm=batch nothing to compare with; "
                f"choose a larger batch or model.{name}.norm=layer"
            )
    try:
        check_requirements(game, networks)
    except ValueError as error:
        raise ConfigError(f"game: {error}") from error
    moving = [str(name) for name, player in config.players.items() if player.networks and player.updates != 0]
    players = [build_player(name, config, game, networks, first=name == moving[0]) for name in moving]
    if not players or not players[0].fresh_batches:
        raise ConfigError("the first of the players must draw batches: set its fresh_batches to true")
    used = any("loss" in term for player in config.players.values() for term in player.terms.values())
    used = used and getattr(game, "judge", None) in {None, *networks}  # or it is another's: of codes
    loss = build("loss", config.loss) if used else None
    return Parts(dataset, game, networks, players, build("play", config.play), device, loss)


def networks_of(config: DictConfig) -> list[str]:
    """Names of the networks that players own, or that the game has beside them, each once."""
    owned = [str(name) for player in config.players.values() for name in player.networks]
    return list(dict.fromkeys([*owned, *config.game.get("fixed", ())]))


def check_networks(config: DictConfig) -> None:
    """Refuse players of networks that are not there.

    Raises:
        ConfigError: naming the network and, where it is a choice, what to choose.
    """
    for name in networks_of(config):
        if config.model.get(name) is None:
            options = [option for option in options_in(name) if option != "none"]
            choose = f"; choose {typed(name, options)}" if options else did_you_mean(name, config.model)
            raise ConfigError(f"no network model.{name}, which a player owns{choose}")


def facts_of(game: Game, dataset: Dataset) -> dict[str, Any]:
    """What networks are told of the data by the game.

    Raises:
        ConfigError: the dataset lacks what the game is about.
    """
    try:
        return game.facts(dataset)
    except ValueError as error:
        raise ConfigError(f"game: {error}") from error


def check_owners(config: DictConfig) -> None:
    """Refuse what a regularizer puts on a player or a network that this game does not have.

    Raises:
        ConfigError: naming what was set, and whom the game has.
    """
    for name, player in config.players.items():
        constraints = [constraint for constraint, node in player.constraints.items() if node is not None]
        if not player.networks and (player.terms or constraints or player.updates):
            parts = ", ".join(map(str, [*player.terms, *constraints])) or "options"
            others = ", ".join(str(other) for other, node in config.players.items() if node.networks)
            raise ConfigError(
                f"players.{name} is given {parts}, but this game has no such player ({others}); "
                "leave that out or choose another game"
            )
    networks = [str(name) for name, node in config.model.items() if node is not None and "_target_" in node]
    for name, node in config.model.items():
        if node is not None and name not in networks:
            raise ConfigError(
                f"model.{name} is given {', '.join(map(str, node))}, but this game has no such network "
                f"({', '.join(networks)}); leave that out or choose another game"
            )


def build_network(name: str, config: DictConfig, facts: Mapping[str, Any]) -> nn.Module:
    """A network, told of the data what its constructor asks for: sizes are said once, by the dataset.

    So are the networks that it is made of, where they are constructor calls inside it.
    """
    node = copy.deepcopy(config.model[name])
    own: Mapping[str, Any] = {}
    for _, call in constructor_calls(node):
        asked = inspect.signature(locate(call._target_, config.trusted)).parameters
        lacking = [
            fact for fact in OF_CONDITIONS if is_required(asked, fact) and fact not in call and fact not in facts
        ]
        if lacking:
            what = brought_by(config, call._target_) or f"model.{name}: {str(call._target_).rpartition('.')[2]}"
            raise ConfigError(
                f"{what} is told a condition, and this game has none; choose a game that has, such as "
                "game=conditional, or leave it out"
            )
        unsaid = {fact: value for fact, value in facts.items() if fact in asked and fact not in call}
        if call is node:
            own = unsaid
        else:
            call.update(unsaid)
    return build(f"model.{name}", node, **own)


OF_CONDITIONS = ("condition_dim", "labels")
"""Facts that only a game with conditions tells."""


def is_required(asked: Mapping[str, inspect.Parameter], argument: str) -> bool:
    """Whether a constructor cannot do without an argument."""
    return argument in asked and asked[argument].default is inspect.Parameter.empty


def build_player(
    name: str, config: DictConfig, game: Game, networks: dict[str, nn.Module], first: bool = False
) -> Player:
    """A player from its part of the configuration; its optimizer is a diff over the shared one.

    Where nothing is said of it, the first of the players draws batches, and the others see its last one.
    """
    player = config.players[name]
    key = f"players.{name}"
    if player.updates < 0:
        raise ConfigError(f"{key}.updates={player.updates} must be at least 0, where 0 leaves it as it is")
    for term in {*player.terms, *player.weights}:
        if term not in player.terms or term not in player.weights:
            raise ConfigError(f"{key}: the term {term} needs both {key}.terms.{term} and {key}.weights.{term}")
    if not player.terms:
        raise ConfigError(
            f"{key} owns {', '.join(player.networks)} and descends nothing; choose what it does, such as by "
            f"likelihood= or loss=, or set {key}.updates=0"
        )
    owned = {network: networks[network] for network in player.networks}
    others = {network: built for network, built in networks.items() if network not in owned}
    parameters = [p for network in owned.values() for p in network.parameters()]
    optimizer = build_optimizer(optimizer_of(config, name), parameters, config.trusted)
    schedule = OmegaConf.merge(config.scheduler, player.scheduler)
    return Player(
        name=name,
        game=game,
        networks=networks,
        owned=tuple(player.networks),
        terms={term: build_part(f"{key}.terms.{term}", config, game, owned, others) for term in player.terms},
        weights=dict(player.weights),
        optimizer=optimizer,
        scheduler=build("scheduler", schedule, optimizer=optimizer),
        constraints={
            constraint: build_part(f"{key}.constraints.{constraint}", config, game, owned, others)
            for constraint, node in player.constraints.items()
            if node is not None
        },
        updates=player.updates,
        fresh_batches=first if player.fresh_batches is None else player.fresh_batches,
        half=HALF.get(config.trainer.precision),
    )


def optimizer_of(config: DictConfig, name: str) -> DictConfig:
    """The options of a player's optimizer."""
    return typing.cast(DictConfig, OmegaConf.merge(config.optimizer, config.players[name].optimizer))


def build_checked(group: str, config: DictConfig, parts: Parts, said: str) -> dict[str, Any]:
    """Everything in a group of the configuration by name, each of which may demand something of what plays.

    Args:
        group: metric or observer.
        config: checked.
        parts: what plays.
        said: in front of its name, to people.

    Raises:
        ConfigError: one does not go with what plays.
    """
    built = {str(name): build(f"{group}.{name}", node) for name, node in config[group].items()}
    for name, part in built.items():
        try:
            check_requirements(part, parts)
        except ValueError as error:
            raise ConfigError(f"{said}{name}: {error}") from error
    return built


HAVE_FUSED_OPTIMIZERS = ("cpu", "cuda", "xpu")


def build_optimizer(node: Any, parameters: list[nn.Parameter], trusted: list[str]) -> torch.optim.Optimizer:
    """An optimizer; one kernel updates all parameters, where torch has one and nobody chose otherwise."""
    kind = locate(node._target_, trusted)
    asked = inspect.signature(kind).parameters
    closure = inspect.signature(getattr(kind, "step", kind)).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(f"{kind.__name__} evaluates a loss by itself, and a game has none; choose another optimizer")
    chosen = any(name in node for name in ("fused", "foreach", "differentiable"))
    if "fused" in asked and not chosen and parameters[0].device.type in HAVE_FUSED_OPTIMIZERS:
        node = OmegaConf.merge(node, {"fused": True})
    return eager(partial(build, "optimizer", node, params=parameters))


def build_part(
    key: str, config: DictConfig, game: Game, networks: Mapping[str, nn.Module], others: Mapping[str, nn.Module]
) -> Any:
    """A term or a constraint: a function with its knobs, or, if it remembers something, built on the networks.

    It is told of the networks of the `others` if its constructor asks for them.
    """
    node = OmegaConf.select(config, key)
    part = build(key, node)
    check_kinds(key, part, config)
    check_turns(key, part, game, config)
    name = key.rpartition(".")[2]
    try:
        check_requirements(part, networks, game=game, others=others)
        if isinstance(part, partial) and inspect.isclass(part.func):
            asked = inspect.signature(part.func).parameters
            part = part(networks, **({"others": others} if "others" in asked else {}))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    device = next(next(iter(networks.values())).parameters()).device
    return part.to(device) if isinstance(part, nn.Module) else part


def check_kinds(key: str, part: Any, config: DictConfig) -> None:
    """Refuse a loss of another kind than a term is made for, as its signature says.

    Raises:
        ConfigError: naming the loss, and those and the games that go together.
    """
    if not isinstance(part, partial):
        return
    hint, loss = type_hints(part.func).get("loss"), part.keywords.get("loss")
    if not inspect.isclass(hint) or loss is None or isinstance(loss, hint):
        return

    def takes_it(calls: Mapping[str, str]) -> bool:
        terms = (locate(target, ()) for key, target in calls.items() if ".terms." in key)
        kinds = [kind for term in terms if inspect.isclass(kind := type_hints(term).get("loss"))]
        return bool(kinds) and all(isinstance(loss, kind) for kind in kinds)

    losses = choices("loss", lambda calls: "loss" in calls and offers(locate(calls["loss"], ()), hint))
    given = brought_by(config, str(OmegaConf.select(config, f"{key}.loss._target_"))) or type(loss).__name__
    raise ConfigError(f"{given} does not go with this game; choose {losses}, or {choices('game', takes_it)}")


def check_turns(key: str, part: Any, game: Game, config: DictConfig) -> None:
    """Refuse a term that looks at other turns than this game's, as its signature and that of `game.turn` say.

    Raises:
        ConfigError: naming the term, or what brought it, and games that it goes with.
    """
    wanted, turns = turn_looked_at(part), turns_of(type(game))
    if not inspect.isclass(wanted) or not inspect.isclass(turns) or offers(turns, wanted):
        return
    games = choices("game", lambda calls: offers(turns_of(locate(calls["game"], ())), wanted))
    what = brought_by(config, str(OmegaConf.select(config, f"{key}._target_"))) or key
    raise ConfigError(f"{what} does not go with this game; choose {games}, or leave it out")


def turns_of(game: Any) -> Any:
    """The type of a game's turns, if it says so."""
    return type_hints(game.turn).get("return")


def turn_looked_at(part: Any) -> Any:
    """The type of the first argument of a term, if it says so; None of what takes no argument."""
    function = part.func if isinstance(part, partial) else part
    if inspect.isclass(function):
        function = getattr(function, "forward", function.__call__)
    first = next((name for name in inspect.signature(function).parameters if name != "self"), None)
    return type_hints(function).get(first or "")


def offers(kind: Any, wanted: type) -> bool:
    """Whether a class, such as that of turns, is of another one, or has all that a protocol names."""
    if getattr(wanted, "_is_protocol", False):
        return all(hasattr(kind, name) for name in vars(wanted) if not name.startswith("_"))
    return inspect.isclass(kind) and issubclass(kind, wanted)


def check_unused(config: DictConfig, overrides: Sequence[str] = ()) -> None:
    """Refuse keys that nothing reads: knobs of regularizers, networks that no player owns, a loss that was asked for.

    Args:
        config: unresolved, so that it shows who reads what.
        overrides: the command line.

    Raises:
        ConfigError: naming the key and the nearest one that is read.
    """
    check_networks(config)
    read = set(re.findall(r"\$\{([\w.]+)\}", OmegaConf.to_yaml(config, resolve=False)))
    owned = {f"model.{network}" for network in networks_of(config)}
    for name, knobs in config.regularizer.items():
        if not isinstance(knobs, DictConfig):
            raise ConfigError(f"regularizer.{name}={knobs} is no set of options; regularizer=[{name}] chooses it")

    def is_read(key: str) -> bool:
        return any(key == used or used.startswith(f"{key}.") for used in read | owned)

    for network in (f"model.{name}" for name, node in config.model.items() if node is not None and "_target_" in node):
        if not is_read(network):
            players = [(name, player.networks) for name, player in config.players.items() if player.networks]
            owners = "; ".join(f"{name} has {', '.join(own)}" for name, own in players)
            raise ConfigError(
                f"no player owns {network}{did_you_mean(network, owned)}; {owners}. "
                "What brought it may not go with the loss or the game: choose another"
            )
    knobs = [f"regularizer.{name}.{knob!s}" for name, knobs in config.regularizer.items() for knob in knobs]
    for key in [*knobs, *(f"method.{knob!s}" for knob in config.method)]:
        if not is_read(key):
            family = key.rpartition(".")[0]
            siblings = [used for used in read | owned if used.startswith(f"{family}.")]
            raise ConfigError(f"{key} is read by nothing{did_you_mean(key, siblings)}")
    of_losses = [override for override in overrides if re.match(r"\+*loss[.=]", override)]
    if of_losses and config.get("loss") and not is_read("loss"):
        raise ConfigError(
            f"{of_losses[0]} changes nothing: no player of this game descends a loss of scores; leave it out, or "
            "choose another game or, with an encoder, likelihood=[observer,synthetic]"
        )
