"""Checks that the chosen parts fit together. Each check stands beside its error message."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan_runner.config.instantiate import locate, type_hints
from gan_runner.config.options import brought_by, choices, options_in, regularizers_setting, typed
from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import ConfigError
from gan_runner.games.base import Game


def networks_of(config: DictConfig) -> list[str]:
    """Names of the networks that players own or that the game keeps fixed, each once."""
    owned = [str(name) for player in config.players.values() for name in player.networks]
    return list(dict.fromkeys([*owned, *config.game.get("fixed", ())]))


def check_networks(config: DictConfig) -> None:
    """Check that every network which a player owns is configured.

    Raises:
        ConfigError: a network is missing. The message names it and the options that add it.
    """
    for name in networks_of(config):
        if config.model.get(name) is None:
            options = [option for option in options_in(name) if option != "none"]
            choose = f"; choose {typed(name, options)}" if options else did_you_mean(name, config.model)
            raise ConfigError(f"a player owns model.{name}, but there is no such network{choose}")


def check_owners(config: DictConfig) -> None:
    """Check that regularizers change only players and networks that the game has.

    Raises:
        ConfigError: one does not. The message names the option that set it, and what the game has.
    """
    for name, player in config.players.items():
        constrained = any(node is not None for node in player.constraints.values())
        if not player.networks and (player.terms or constrained or player.updates):
            what = regularizers_setting(f"players.{name}", config) or f"players.{name}"
            others = ", ".join(str(other) for other, node in config.players.items() if node.networks)
            raise ConfigError(
                f"{what} needs a {name}, but this game trains only: {others}; leave it out, or choose another loss or "
                "game"
            )
    networks = [str(name) for name, node in config.model.items() if node is not None and "_target_" in node]
    for name, node in config.model.items():
        if node is not None and name not in networks:
            what = regularizers_setting(f"model.{name}", config) or f"model.{name}.{next(iter(node))!s}"
            raise ConfigError(
                f"{what} needs a {name}, but this game has only: {', '.join(networks_of(config))}; leave it out, or "
                "choose another loss or game"
            )


def check_kinds(key: str, part: Any, config: DictConfig) -> None:
    """Check that a term gets the kind of loss that its signature asks for.

    Raises:
        ConfigError: it gets another kind. The message names losses and games that fit.
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
    raise ConfigError(f"{given} does not work in this game; choose {losses}, or {choices('game', takes_it)}")


def check_turns(key: str, part: Any, game: Game, config: DictConfig) -> None:
    """Check that a term accepts the turns of this game. The signatures of the term and of `game.turn` name the types.

    Raises:
        ConfigError: it does not. The message names the option that added the term, and games that fit.
    """
    wanted, turns = turn_looked_at(part), turns_of(type(game))
    if not inspect.isclass(wanted) or not inspect.isclass(turns) or implements(turns, wanted):
        return
    games = choices("game", lambda calls: implements(turns_of(locate(calls["game"], ())), wanted))
    what = brought_by(config, str(OmegaConf.select(config, f"{key}._target_"))) or key
    raise ConfigError(f"{what} does not work in this game; choose {games}, or leave it out")


def turns_of(game: Any) -> Any:
    """The annotated type of a game's turns, or None."""
    return type_hints(game.turn).get("return")


def turn_looked_at(part: Any) -> Any:
    """The annotated type of a term's first argument; None without annotation or argument."""
    function = part.func if isinstance(part, partial) else part
    if inspect.isclass(function):
        function = function.forward if issubclass(function, nn.Module) else function.__call__
    first = next((name for name in inspect.signature(function).parameters if name != "self"), None)
    return type_hints(function).get(first or "")


def implements(kind: Any, wanted: type) -> bool:
    """Whether a class derives from another one, or has every member that a protocol names."""
    if Protocol in wanted.__bases__:
        return all(hasattr(kind, name) for name in vars(wanted) if not name.startswith("_"))
    return inspect.isclass(kind) and issubclass(kind, wanted)


def check_unused(config: DictConfig, overrides: Sequence[str] = ()) -> None:
    """Check that every option of a regularizer or method, every network, and a typed `loss=` is used.

    Args:
        config: unresolved, because its interpolations show which options are used.
        overrides: the options of the command line.

    Raises:
        ConfigError: an option is not used. The message suggests the nearest one that is.
    """
    check_networks(config)
    values = json.dumps(OmegaConf.to_container(config, resolve=False), default=str, ensure_ascii=False)
    read = set(re.findall(r"\$\{([\w.]+)\}", values))
    owned = {f"model.{network}" for network in networks_of(config)}
    for name, knobs in config.regularizer.items():
        if not isinstance(knobs, DictConfig):
            raise ConfigError(
                f"regularizer.{name}={knobs} must hold options; to use this regularizer, type 'regularizer=[{name}]'"
            )

    def is_read(key: str) -> bool:
        return any(key == used or used.startswith(f"{key}.") for used in read | owned)

    for network in (f"model.{name}" for name, node in config.model.items() if node is not None and "_target_" in node):
        if not is_read(network):
            players = [(name, player.networks) for name, player in config.players.items() if player.networks]
            owners = "; ".join(f"{name} owns {', '.join(own)}" for name, own in players)
            raise ConfigError(
                f"no player trains {network}{did_you_mean(network, owned)} ({owners}); leave out the option that adds "
                "it, or choose another loss or game"
            )
    knobs = [f"regularizer.{name}.{knob!s}" for name, knobs in config.regularizer.items() for knob in knobs]
    for key in [*knobs, *(f"method.{knob!s}" for knob in config.method)]:
        if not is_read(key):
            family = key.rpartition(".")[0]
            siblings = [used for used in read | owned if used.startswith(f"{family}.")]
            raise ConfigError(f"{key} is not used by this configuration{did_you_mean(key, siblings)}")
    loss_overrides = [override for override in overrides if re.match(r"\+*loss[.=]", override)]
    if loss_overrides and config.get("loss") and not is_read("loss"):
        raise ConfigError(
            f"{loss_overrides[0]} has no effect, because this game has no discriminator of samples; leave it out, or "
            "choose another game or, with an encoder, likelihood=[observer,synthetic]"
        )
