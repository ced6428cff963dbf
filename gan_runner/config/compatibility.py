"""Checks that the chosen parts go together, each beside its message."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan_runner.config.instantiate import locate, type_hints
from gan_runner.config.options import brought_by, choices, options_in, typed
from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import ConfigError
from gan_runner.games.base import Game


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

    losses = choices("loss", lambda calls: "loss" in calls and implements(locate(calls["loss"], ()), hint))
    given = brought_by(config, str(OmegaConf.select(config, f"{key}.loss._target_"))) or type(loss).__name__
    raise ConfigError(f"{given} does not go with this game; choose {losses}, or {choices('game', takes_it)}")


def check_turns(key: str, part: Any, game: Game, config: DictConfig) -> None:
    """Refuse a term that looks at other turns than this game's, as its signature and that of `game.turn` say.

    Raises:
        ConfigError: naming the term, or what brought it, and games that it goes with.
    """
    wanted, turns = turn_looked_at(part), turns_of(type(game))
    if not inspect.isclass(wanted) or not inspect.isclass(turns) or implements(turns, wanted):
        return
    games = choices("game", lambda calls: implements(turns_of(locate(calls["game"], ())), wanted))
    what = brought_by(config, str(OmegaConf.select(config, f"{key}._target_"))) or key
    raise ConfigError(f"{what} does not go with this game; choose {games}, or leave it out")


def turns_of(game: Any) -> Any:
    """The type of a game's turns, if it says so."""
    return type_hints(game.turn).get("return")


def turn_looked_at(part: Any) -> Any:
    """The type of the first argument of a term, if it says so; None of what takes no argument."""
    function = part.func if isinstance(part, partial) else part
    if inspect.isclass(function):
        function = function.forward if issubclass(function, nn.Module) else function.__call__
    first = next((name for name in inspect.signature(function).parameters if name != "self"), None)
    return type_hints(function).get(first or "")


def implements(kind: Any, wanted: type) -> bool:
    """Whether a class, such as that of turns, is of another one, or has all that a protocol names."""
    if Protocol in wanted.__bases__:
        return all(hasattr(kind, name) for name in vars(wanted) if not name.startswith("_"))
    return inspect.isclass(kind) and issubclass(kind, wanted)


def check_unused(config: DictConfig, overrides: Sequence[str] = ()) -> None:
    """Refuse options that are not used: of regularizers, networks that no player owns, a loss that was asked for.

    Args:
        config: unresolved, so that it shows which option is read where.
        overrides: the command line.

    Raises:
        ConfigError: naming the key and the nearest one that is used.
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
            raise ConfigError(f"{key} is not used by this configuration{did_you_mean(key, siblings)}")
    of_losses = [override for override in overrides if re.match(r"\+*loss[.=]", override)]
    if of_losses and config.get("loss") and not is_read("loss"):
        raise ConfigError(
            f"{of_losses[0]} changes nothing: no player of this game descends a loss of scores; leave it out, or "
            "choose another game or, with an encoder, likelihood=[observer,synthetic]"
        )
