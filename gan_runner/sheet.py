"""The method sheet: the objective of each player as a formula, with the numbers of this configuration.

    discriminator ×5   E[D(G(z))] − E[D(x)] + 10 · E[(‖∇D(x̂)‖ − 1)²]   Adam 1e-4 (.5, .9)   wgan_gp, gradient_penalty
    generator     ×1   −E[D(G(z))]                                      Adam 1e-4 (.5, .9)   wgan_gp

Each part has its formula beside its code (`gan_runner.tools.formulas`). This module puts the formulas together.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from gan_runner.config.options import Origins
from gan_runner.games.base import InfersCodes
from gan_runner.models.summary import network_lines
from gan_runner.players import OPTIMIZER_FLAGS, Player
from gan_runner.requirements import declaration, innermost
from gan_runner.system import System
from gan_runner.tools.formulas import Symbols, formula_of, number, options_of, short, weighted, write
from gan_runner.tools.scheduled import Scheduled
from gan_runner.turn import Turn

WRAPPER = textwrap.TextWrapper(106, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
"""Breaks the lines of sections."""

LONGEST_SUM = 66
"""A longer sum of terms has a line for each of them."""

CITATION = re.compile(
    r"((?:de |van )?[^\W\d_][\w’'-]+(?: et al\.| & [^\W\d_][\w-]+)? (?:19|20)\d\d),? "
    r"\(?(arXiv:[\d.]+\d|doi:[^\s,;)]+|[JP]MLR \d+)"
)
"""A paper as docstrings name it: `Gulrajani et al. 2017, arXiv:1704.00028`."""


@dataclass(frozen=True)
class Term:
    """A term of a player's sum.

    Attributes:
        negative: whether it is subtracted.
        text: its weight and its formula.
        origins: the options that added it.
    """

    negative: bool
    text: str
    origins: tuple[str, ...]

    def signed(self, first: bool) -> str:
        """The term with its sign; the first of a sum has no plus."""
        return ("−" if first else "− ") * self.negative + ("" if first or self.negative else "+ ") + self.text


@dataclass(frozen=True)
class Objective:
    """The objective of a player: the sum of terms that it minimises, its optimizer and its constraints.

    Attributes:
        player: the name of the player.
        updates: updates per step: `×5`, or one number per phase.
        terms: the terms of the sum.
        logged: terms of weight zero, which are only logged.
        optimizer: the optimizer with its numbers.
        constraints: formulas of what follows each update, with the options that added them.
        definitions: definitions of the symbols in the formulas.
    """

    player: str
    updates: str
    terms: Sequence[Term]
    logged: Sequence[Term]
    optimizer: str
    constraints: Sequence[tuple[str, tuple[str, ...]]]
    definitions: Sequence[str]

    @property
    def sum(self) -> str:
        """All terms in one line."""
        return " ".join(term.signed(first=index == 0) for index, term in enumerate(self.terms))

    @property
    def origins(self) -> tuple[str, ...]:
        """The options that added the terms, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.origins))


@dataclass(frozen=True)
class Sheet:
    """The method sheet of a configuration.

    Attributes:
        title: the chosen options.
        objectives: the objectives of the players, in the order in which they move.
        sections: titles and lines of the sections below the objectives.
    """

    title: str
    objectives: Sequence[Objective]
    sections: Mapping[str, Sequence[str]]

    @property
    def players(self) -> list[str]:
        """The lines of the players alone."""
        rows = [row for objective in self.objectives for row in rows_of(objective)]
        names, *widths = (max(len(row[column]) for row in rows) for column in range(4))
        return [
            f"{name:{names}} " + "   ".join(cell.ljust(width) for cell, width in zip(cells, [*widths, 0])).rstrip()
            for name, *cells in rows
        ]

    def __str__(self) -> str:
        """The sheet as plain text."""
        width = max(map(len, self.sections)) + 3
        below = []
        for title, lines in self.sections.items():
            wrapped = [part for line in lines for part in WRAPPER.wrap(line)]
            below += [f"{name:{width}}{line}" for name, line in zip([title, *[""] * len(wrapped)], wrapped)]
        return "\n".join([self.title, "", *self.players, "", *below])


def sheet_of(config: DictConfig, system: System, title: str) -> Sheet:
    """The method sheet of a system.

    Args:
        config: the resolved configuration.
        system: the system built from it, not yet compiled.
        title: the chosen options.
    """
    origins = Origins(config, title.split())
    objectives = [objective_of(player, origins) for player in system.players]
    definitions = dict.fromkeys(line for objective in objectives for line in objective.definitions)
    condition = condition_of(system.players[0])
    parts = list(parts_of(system))
    sections = {
        "moves": [f"{', '.join(player.name for player in system.players)}: {write(system.update_scheme, Symbols())}"],
        "rates": list(dict.fromkeys(map(rates_of, system.players))),
        "where": [*definitions, *meanings_of(system)],
        "sees": [sees(*each, config.trainer.batch_size) for each in zip(system.players, objectives)],
        "networks": [line for each in system.networks.items() for line in network_lines(*each, condition)],
        "papers": list(dict.fromkeys(paper for part in parts for paper in papers_of(part))),
    }
    return Sheet(title, objectives, {name: lines for name, lines in sections.items() if lines})


def objective_of(player: Player, origins: Origins) -> Objective:
    """The objective of a player, with the options that added its terms."""
    symbols = Symbols(turn_of(player))
    terms: list[Term] = []
    logged: list[Term] = []
    for name, part in sorted(player.terms.items(), key=lambda item: not is_loss(item[1])):
        weight = player.weights[name]
        negative, text = weighted(number(weight), write(part, symbols))
        term = Term(negative, text, origins.of_term(f"players.{player.name}.terms.{name}"))
        (terms if isinstance(weight, Scheduled) or weight else logged).append(term)
    constraints = [
        (write(part, symbols), origins.of_term(f"players.{player.name}.constraints.{name}"))
        for name, part in player.constraints.items()
    ]
    moves = [f"×{n}" + (f" from step {number(first)}" if first else "") for first, n in sorted(player.phases.items())]
    optimizer = optimizer_line(player.optimizer)
    return Objective(player.name, ", ".join(moves), terms, logged, optimizer, constraints, [*symbols.definitions])


def is_loss(term: Any) -> bool:
    """Whether a term is one player's half of a loss, which comes first in a sum."""
    return hasattr(options_of(innermost(term)), "loss")


def rows_of(objective: Objective) -> Iterator[tuple[str, str, str, str, str]]:
    """The lines of a player: name, updates, formula, optimizer, options."""
    one = [(objective.sum, objective.origins)]
    each = [(term.signed(first=index == 0), term.origins) for index, term in enumerate(objective.terms)]
    for index, (text, options) in enumerate(one if len(objective.sum) <= LONGEST_SUM else each):
        first = objective.player, objective.updates, objective.optimizer
        name, updates, optimizer = first if index == 0 else ("", "", "")
        yield name, updates, text, optimizer, ", ".join(options)
    for text, options in objective.constraints:
        yield "", "", f"after each update  {text}", "", ", ".join(options)
    for term in objective.logged:
        yield "", "", f"only logged  {term.text.removeprefix('0 · ')}", "", ", ".join(term.origins)


INPUTS = re.compile(r"\b[xyzc]ₗ?\b|(?<=φ\()t\b")
"""The inputs in formulas: data x, labels y, noise z, codes c, captions t."""

DRAWN = ("c", "z")
"""The inputs that each turn draws itself; the others are those of its batch."""


def optimizer_line(optimizer: torch.optim.Optimizer) -> str:
    """`Adam 1e-4 (.5, .9)`: class, learning rate, betas, and what differs from the defaults."""
    group = optimizer.param_groups[0]
    usual = {name: each.default for name, each in inspect.signature(type(optimizer)).parameters.items()}
    words = [type(optimizer).__name__, short(group.get("initial_lr", group["lr"]))]
    if "betas" in group:
        words.append(f"({', '.join(map(short, group['betas']))})")
    shown = {"lr", "initial_lr", "betas", "params", *OPTIMIZER_FLAGS}
    others = [name for name in group if name in usual and name not in shown and group[name] != usual[name]]
    return " ".join([*words, *(f"{name} {short(group[name])}" for name in others)])


def rates_of(player: Player) -> str:
    """How the learning rate, and other numbers of the optimizer, follow the training step."""
    scheduler: Any = player.scheduler
    rates = [write(schedule, Symbols()) for schedule in getattr(scheduler, "lr_lambdas", ())]
    text = f"factor of the learning rates: {rates[0]}" if rates else type(scheduler).__name__
    options = getattr(scheduler, "options", {})
    return ", ".join([text, *(f"{name} {write(schedule, Symbols())}" for name, schedule in options.items())])


def meanings_of(system: System) -> list[str]:
    """The distributions of noise and codes, the condition, and networks that have a formula."""
    game: Any = system.game
    has_codes = isinstance(game, InfersCodes)
    codes = [f"{name} ~ {write(code, Symbols())}" for name, code in (game.codes if has_codes else {}).items()]
    prior = [f"z ~ {write(game.latent, Symbols())}"] if getattr(game.latent, "dim", 0) else []
    condition = [meaning for player in system.players[:1] if (meaning := turn_of(player).meaning)]
    networks = [write(each, Symbols()) for each in system.networks.values() if formula_of(each)]
    return [*prior, *([f"c = ({', '.join(codes)})"] if codes else []), *condition, *dict.fromkeys(networks)]


def turn_of(player: Player) -> Turn:
    """A turn of a player without a batch, for its symbols."""
    turn: Turn = player.game.turn(player.networks, player.owned, {})
    return turn


def condition_of(player: Player) -> str:
    """How the condition of a critic or a generator is written: y, φ(t), or the z of a pair."""
    symbols = Symbols(turn_of(player))
    pairs = [symbols.score(name).beside for name in ("fake_scores", "prior_scores") if name in symbols]
    return symbols.get("condition") or next((pair[0] for pair in pairs if pair), "y")


def sees(player: Player, objective: Objective, batch_size: int) -> str:
    """The inputs of a player, where they come from, and the networks that it trains."""
    seen = sorted(set(INPUTS.findall(" ".join([*objective.definitions, *(term.text for term in objective.terms)]))))
    batch = f"a new batch of {batch_size} at each update" if player.fresh_batches else "the batch drawn last"
    drawn = [name for name in seen if name in DRAWN]
    data = [name for name in seen if name not in DRAWN]
    inputs = [f"new {', '.join(drawn)}"] * bool(drawn) + [f"{', '.join(data)} from {batch}"] * bool(data)
    return f"{player.name}: {'; '.join([*(inputs or [batch]), 'trains ' + ', '.join(player.owned)])}"


def parts_of(system: System) -> Iterator[Any]:
    """Everything that may have a source: game, losses, terms, constraints, networks and their layers."""
    yield from (system.game, declaration(system.update_scheme))
    for player in system.players:
        for term in player.terms.values():
            yield declaration(term)
            yield from losses_in(innermost(term))
        yield from (*player.constraints.values(), player.optimizer)
    for network in system.networks.values():
        yield from (module for module in network.modules() if module is network or formula_of(module))


def losses_in(part: Any) -> Iterator[Any]:
    """The losses, kernels and so on that a part is built on."""
    options = part.keywords if isinstance(part, partial) else vars(part)
    for value in options.values():
        if is_dataclass(value):
            yield value
            yield from losses_in(value)


def papers_of(part: Any) -> list[str]:
    """The papers that a part's docstring names; else those of its module's, else those of its bases'."""
    kind = part if inspect.isroutine(part) or hasattr(part, "__name__") else type(part)
    own = kind.__module__.partition(".")[0]
    bases = [base for base in getattr(kind, "__mro__", ())[1:] if base.__module__.partition(".")[0] == own]
    documented = [kind, inspect.getmodule(kind), *bases]
    found = (CITATION.findall(" ".join((each.__doc__ or "").split())) for each in documented)
    return [f"{authors}, {place}" for authors, place in next(filter(None, found), [])]
