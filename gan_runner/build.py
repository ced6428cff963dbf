"""Build networks and players from a checked configuration, without reading or writing files."""

from __future__ import annotations

import copy
import inspect
import random
import typing
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan_runner.compile import layout
from gan_runner.config.compatibility import check_kinds, check_networks, check_owners, check_turns, networks_of
from gan_runner.config.instantiate import build, constructor_calls, is_call, locate
from gan_runner.config.options import brought_by
from gan_runner.datasets.base import Dataset
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError
from gan_runner.games.base import Game, critic_name
from gan_runner.models.networks import HasFeatures
from gan_runner.players import Player, phases_of
from gan_runner.requirements import OwnedNetworks, TermWrapper, check_requirements
from gan_runner.system import System
from gan_runner.tools.precision import AUTOCAST_DTYPES
from gan_runner.tools.scheduled import Scheduled
from gan_runner.tools.torch_internals import load_no_compiler


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is the first GPU, or the CPU without one. Each of several processes has its own.

    Raises:
        ConfigError: there is no such device.
    """
    name = processes.present.device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise ConfigError(f"trainer.device={name} cannot be used ({reason}); choose auto or cpu") from error
    return device


def build_system(config: DictConfig) -> System:
    """Build networks, players, game, dataset and loss from a checked configuration, initialised from `seed`.

    Raises:
        ConfigError: a part rejects its options, or two parts do not fit together.
    """
    device = choose_device(config.trainer.device)
    dataset = build("dataset", config.dataset)
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    game = build("game", config.game)
    check_owners(config)
    check_networks(config)
    names = networks_of(config)
    network_kwargs = {"shape": dataset.shape, "bounded": dataset.bounded, "latent_dim": game.latent.dim}
    network_kwargs |= network_kwargs_of(game, dataset)
    memory_format = layout(config.trainer.channels_last, config.trainer.compile, device)
    networks: dict[str, nn.Module] = {}
    for name in names:
        networks[name] = build_network(name, config, network_kwargs).to(device).to(memory_format=memory_format)
        if isinstance(network := networks[name], HasFeatures):
            network_kwargs["num_features"] = network.num_features  # an argument of the networks built after it
    for name, network in networks.items():
        if config.trainer.batch_size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
            raise ConfigError(
                f"batch norm needs at least two samples, so model.{name}.norm=batch does not work with "
                f"trainer.batch_size=1; choose a larger batch or model.{name}.norm=layer"
            )
    try:
        check_requirements(game, networks)
    except ValueError as error:
        raise ConfigError(f"game: {error}") from error
    moving = [name for name in map(str, config.players) if any(player_phases(name, config).values())]
    players = [build_player(name, config, game, networks, first=name == moving[0]) for name in moving]
    if not players or not players[0].fresh_batches:
        raise ConfigError("the first player must draw batches; set its fresh_batches to true")
    used = any("loss" in term for player in config.players.values() for _, term in constructor_calls(player.terms))
    used = used and critic_name(game) in {None, *networks}  # otherwise it is the loss of a code discriminator
    loss = build("loss", config.loss) if used else None
    return System(dataset, game, networks, players, build("play", config.play), device, config.trainer.batch_size, loss)


def network_kwargs_of(game: Game, dataset: Dataset) -> dict[str, Any]:
    """Constructor arguments that the game derives from the dataset.

    Raises:
        ConfigError: the dataset lacks something that the game needs, such as labels.
    """
    try:
        return game.network_kwargs(dataset)
    except ValueError as error:
        raise ConfigError(f"game: {error}") from error


def build_network(name: str, config: DictConfig, network_kwargs: Mapping[str, Any]) -> nn.Module:
    """Build a network; arguments that its configuration leaves out come from `network_kwargs`, such as sizes.

    Constructor calls nested in its configuration get them, too.

    Raises:
        ConfigError: it needs a condition, and the game has none.
    """
    node = copy.deepcopy(config.model[name])
    own: Mapping[str, Any] = {}
    for _, call in constructor_calls(node):
        parameters = inspect.signature(locate(call._target_, config.trusted)).parameters
        given = {*call, *network_kwargs}
        if any(is_required(parameters, argument) and argument not in given for argument in CONDITION_KWARGS):
            part = brought_by(config, call._target_) or f"model.{name}: {str(call._target_).rpartition('.')[2]}"
            raise ConfigError(
                f"{part} needs a condition, and this game has none; choose a game that has one, such as "
                "game=conditional, or leave it out"
            )
        derived = {key: value for key, value in network_kwargs.items() if key in parameters and key not in call}
        if call is node:
            own = derived
        else:
            call.update(derived)
    return build(f"model.{name}", node, **own)


CONDITION_KWARGS = ("condition_dim", "labels")
"""Arguments of networks that only a game with conditions provides."""


def is_required(parameters: Mapping[str, inspect.Parameter], argument: str) -> bool:
    """Whether a constructor takes an argument and has no default for it."""
    return argument in parameters and parameters[argument].default is inspect.Parameter.empty


def build_player(
    name: str, config: DictConfig, game: Game, networks: dict[str, nn.Module], first: bool = False
) -> Player:
    """Build a player; its optimizer options override the shared ones.

    By default the first player draws batches, and the others see the last batch it drew.

    Raises:
        ConfigError: the player has no terms, or a term has no weight.
    """
    player = config.players[name]
    key = f"players.{name}"
    for term in {*player.terms, *player.weights}:
        if term not in player.terms or term not in player.weights:
            raise ConfigError(f"{key}: the term {term} needs both {key}.terms.{term} and {key}.weights.{term}")
    if not player.terms:
        raise ConfigError(
            f"{key} trains {', '.join(player.networks)} and has no loss; choose one, such as by likelihood= or loss=, "
            f"or set {key}.updates=0"
        )
    others = {network: built for network, built in networks.items() if network not in player.networks}
    own = {network: networks[network] for network in player.networks}
    owned = OwnedNetworks(own, game, others, config.trainer.batch_size)
    parameters = [p for network in owned.values() for p in network.parameters()]
    optimizer = build_optimizer(optimizer_of(config, name), parameters, config.trusted)
    schedule = OmegaConf.merge(config.scheduler, player.scheduler)
    return Player(
        name=name,
        game=game,
        networks=networks,
        owned=tuple(player.networks),
        terms={term: build_part(f"{key}.terms.{term}", config, owned) for term in player.terms},
        weights={
            str(term): build_number(f"{key}.weights.{term}", node, parameters[0].device)
            for term, node in player.weights.items()
        },
        optimizer=optimizer,
        scheduler=build("scheduler", schedule, optimizer=optimizer),
        constraints={
            constraint: build_part(f"{key}.constraints.{constraint}", config, owned)
            for constraint, node in player.constraints.items()
            if node is not None
        },
        phases=player_phases(name, config),
        fresh_batches=first if player.fresh_batches is None else player.fresh_batches,
        autocast_dtype=AUTOCAST_DTYPES.get(config.trainer.precision),
    )


def player_phases(name: str, config: DictConfig) -> dict[int, int]:
    """The number of moves in a training step, by the first step of each phase; 0 for a player without networks.

    Raises:
        ConfigError: a number is negative, or the table does not begin at step 0.
    """
    player = config.players[name]
    try:
        return phases_of(player.updates) if player.networks else {0: 0}
    except ValueError as error:
        raise ConfigError(f"players.{name}.{error}") from error


def optimizer_of(config: DictConfig, name: str) -> DictConfig:
    """The options of a player's optimizer: the shared ones, with its own on top."""
    return typing.cast(DictConfig, OmegaConf.merge(config.optimizer, config.players[name].optimizer))


def build_checked(group: str, config: DictConfig, system: System, prefix: str) -> dict[str, Any]:
    """Build all metrics or observers of a configuration, by name, and check their requirements on the system.

    Args:
        group: metric or observer.
        config: the checked configuration.
        system: what is trained.
        prefix: precedes the name in error messages.

    Raises:
        ConfigError: a requirement is not met.
    """
    built = {str(name): build(f"{group}.{name}", node) for name, node in config[group].items()}
    for name, part in built.items():
        try:
            check_requirements(part, system)
        except ValueError as error:
            raise ConfigError(f"{prefix}{name}: {error}") from error
    return built


HAVE_FUSED_OPTIMIZERS = ("cpu", "cuda", "xpu")


def build_optimizer(node: Any, parameters: list[nn.Parameter], trusted: list[str]) -> torch.optim.Optimizer:
    """Build an optimizer; it is fused where torch has a fused implementation, unless the configuration says otherwise.

    Raises:
        ConfigError: its step needs a closure that evaluates a loss, as LBFGS does.
    """
    kind = locate(node._target_, trusted)
    asked = inspect.signature(kind).parameters
    step = kind.step if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) else kind
    closure = inspect.signature(step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(
            f"{kind.__name__} minimises one loss that it evaluates itself, and in a game each player has its own; "
            "choose another optimizer"
        )
    chosen = any(name in node for name in ("fused", "foreach", "differentiable"))
    if "fused" in asked and not chosen and parameters[0].device.type in HAVE_FUSED_OPTIMIZERS:
        node = OmegaConf.merge(node, {"fused": True})
    load_no_compiler()
    optimizer: torch.optim.Optimizer = build("optimizer", node, params=parameters)
    return optimizer


def build_number(key: str, node: Any, device: torch.device) -> float | Scheduled:
    """A number, or one that follows a schedule, from its configuration.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return Scheduled(build(key, node)).to(device) if is_call(node) else float(node)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key}={node} must be a number or a schedule, a function of the training step") from error


def build_part(key: str, config: DictConfig, networks: OwnedNetworks) -> Any:
    """Build a term or a constraint: a function with its options, or a module of the networks if it is stateful."""
    node = OmegaConf.select(config, key)
    part = build(key, node)
    name = key.rpartition(".")[2]
    try:
        part = built_on(key, part, config, networks)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    device = next(next(iter(networks.values())).parameters()).device
    return part.to(device) if isinstance(part, nn.Module) else part


def built_on(key: str, part: Any, config: DictConfig, networks: OwnedNetworks) -> Any:
    """Check a term or constraint, and construct it on the networks if it is stateful.

    Raises:
        ValueError: it does not fit the networks, or names a part that the game does not have.
        ConfigError: it does not fit the game.
    """
    if isinstance(part, TermWrapper):
        part.term = built_on(f"{key}.term", part.term, config, part.select(networks))
        return part
    check_kinds(key, part, config)
    check_turns(key, part, networks.game, config)
    check_requirements(part, networks)
    if isinstance(part, partial) and inspect.isclass(part.func):
        return part(networks)
    return part
