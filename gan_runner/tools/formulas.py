"""Formulas: a part states what it computes, with its numbers, in the symbols of its game.

A formula is a template beside the code that it describes:

    @formula("E[(‖∇{between_scores}‖ − {target})²]")
    def gradient_penalty(turn, target=1.0): ...

Braces hold quantities of the turn, which the game writes as it likes (`turn.symbols`), or options of the part: the
arguments of a function, the attributes of an object. Where a template does not suffice, a function of the options and
the symbols returns the text. A part without a formula is written as its name.
"""

from __future__ import annotations

import inspect
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

Part = TypeVar("Part")
Template = str | Callable[[Any, "Symbols"], str]


@dataclass(frozen=True)
class Formula:
    """A formula as it is declared.

    Attributes:
        template: text with braces, or a function of the options and the symbols that returns the text.
        where: definitions of the symbols that it introduces, templates or functions too.
    """

    template: Template
    where: tuple[Template, ...] = ()


def formula(template: Template, *where: Template) -> Callable[[Part], Part]:
    """Declare the formula of a function, a method or a class."""

    def declare(part: Part) -> Part:
        part.formula = Formula(template, where)  # type: ignore[attr-defined]
        return part

    return declare


class Score(str):
    """The score of a point: `D(x)`, or `D(x, y)` beside something else.

    `{real_scores:T(·)}` is the score of T(x).
    """

    letter: str
    point: str
    beside: tuple[str, ...]

    def __new__(cls, letter: str, point: str, *beside: str) -> Score:
        """The text."""
        score = super().__new__(cls, f"{letter}({', '.join([point, *beside])})")
        score.letter, score.point, score.beside = letter, point, beside
        return score

    @property
    def arguments(self) -> str:
        """The arguments of the score: `x`, or `x, y`."""
        return ", ".join([self.point, *self.beside])

    def marked(self, mark: str) -> Score:
        """The score by another critic, whose letter has a mark."""
        return Score(self.letter + mark, self.point, *self.beside)

    def __format__(self, spec: str) -> str:
        return str(Score(self.letter, spec.replace("·", self.point), *self.beside)) if spec else str(self)


class Symbols(dict[str, str]):
    """How quantities are written, by name, and the definitions that formulas add.

    Args:
        turn: the turn that they are quantities of; it need not have a batch.
        mark: behind the critic's letter, such as `_b` for the critic of the part b.
        quantities: by name, beside those of the turn.
    """

    def __init__(self, turn: Any = None, mark: str = "", **quantities: str):
        super().__init__({} if turn is None else turn.symbols, **quantities)
        self.update({name: score.marked(mark) for name, score in self.items() if isinstance(score, Score)})
        self.turn = turn
        self.mark = mark
        self.definitions: dict[str, None] = {}

    def adopt(self, other: Symbols, **quantities: str) -> Symbols:
        """Other symbols, with some quantities written otherwise; what they define is defined here."""
        other.update(quantities)
        other.definitions = self.definitions
        return other

    def having(self, **quantities: str) -> Symbols:
        """These symbols with some quantities written otherwise."""
        copied = Symbols(self.turn)
        copied.clear()
        copied.update(self)
        return self.adopt(copied, **quantities)

    def part(self, name: str) -> Symbols:
        """The symbols of a part of the game."""
        return self.adopt(Symbols(self.turn.part(name), f"{self.mark}_{name}"))

    def loss(self, half: Callable[..., Any], real: str = "real_scores", fake: str = "fake_scores") -> str:
        """One player's half of a loss, on these scores."""
        return write(half, self.having(real=self.score(real), fake=self.score(fake)))

    def score(self, name: str) -> Score:
        """How a score is written; of a game without symbols as its name in the turn."""
        score = self.get(name, name)
        return score if isinstance(score, Score) else Score("D", score)

    def define(self, definition: str) -> None:
        """Explain a symbol below the formulas, once."""
        self.definitions[definition] = None


def write(part: Any, symbols: Symbols) -> str:
    """The formula of a part: a function, a `partial` of one, a bound method or an object."""
    options, declared = options_of(part), formula_of(part)
    if declared is None:
        return name_of(part)
    for definition in declared.where:
        symbols.define(fill(definition, options, symbols))
    return fill(declared.template, options, symbols)


def formula_of(part: Any) -> Formula | None:
    """The formula that a part declares, if it does."""
    found = getattr(part.func if isinstance(part, partial) else part, "formula", None)
    return found if isinstance(found, Formula) else None


def name_of(part: Any) -> str:
    """A part without a formula: `savage(D)` for a loss Savage, `my_term` for a term."""
    inner = part.func if isinstance(part, partial) else part
    if inspect.ismethod(inner):
        return f"{snake_case(type(inner.__self__).__name__)}(D)"
    return snake_case(getattr(inner, "__name__", type(inner).__name__))


def snake_case(name: str) -> str:
    """`MyTerm` → `my_term`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def options_of(part: Any) -> Any:
    """The options of a part, as attributes: arguments of a function, or what an object has."""
    if inspect.ismethod(part):
        return part.__self__
    function, given = (part.func, part.keywords) if isinstance(part, partial) else (part, {})
    if not isinstance(part, partial) and not hasattr(part, "__name__"):
        return part
    parameters = inspect.signature(function).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    return SimpleNamespace(**defaults | given)


class Braces(string.Formatter):
    """Fills braces by symbols, then by options; what neither has stays as its name.

    Args:
        options: with attributes.
        symbols: by name.
    """

    def __init__(self, options: Any, symbols: Mapping[str, str]):
        self.options = options
        self.symbols = symbols

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A symbol, an option or the name itself."""
        return self.symbols[key] if key in self.symbols else getattr(self.options, str(key), str(key))  # type: ignore[index]

    def format_field(self, value: Any, format_spec: str) -> str:
        """A number short, a schedule as its formula, text as it is."""
        return format(value, format_spec) if isinstance(value, str) else number(value)


FACTOR_OF_ONE = re.compile(r"(?<![\w.,])1 (?=[A-Z]\w*\()")
"""The 1 in `1 D(x)`."""


def fill(template: Template, options: Any, symbols: Symbols) -> str:
    """A template with its braces filled and without factors of 1, or the text that its function returns."""
    if callable(template):
        return template(options, symbols)
    return FACTOR_OF_ONE.sub("", Braces(options, symbols).format(template))


def number(value: Any) -> str:
    """A number in few characters: `10`, `0.01`, `1e-4`, `3,000`; a schedule as its formula, in brackets."""
    schedule = getattr(value, "schedule", value)
    if isinstance(value, list | tuple):
        return ", ".join(map(number, value))
    if callable(schedule):
        return f"({write(schedule, Symbols())})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value).replace("inf", "∞")
    whole = f"{value:,.0f}" if value == round(value) and abs(value) < 1e7 else f"{value:.6g}"
    digits, _, exponent = f"{value:.6e}".partition("e")
    scientific = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    text = scientific if "e" in whole or (len(whole) > max(5, len(scientific)) and abs(value) < 1) else whole
    return text.replace("-", "−", 1) if text.startswith("-") else text


def bracketed(value: float) -> str:
    """A number, in brackets if it is negative."""
    return f"({number(value)})" if value < 0 else number(value)


def short(value: Any) -> str:
    """A number of an optimizer: as `number`, without the zero before the point."""
    text = number(value)
    return text[1:] if text.startswith("0.") else text


def weighted(weight: str, text: str) -> tuple[bool, str]:
    """A weight times a formula: whether a minus stands before it, and the text behind that."""
    negative, weight = weight.startswith("−"), weight.removeprefix("−")
    if is_sum(text) and (negative or weight != "1"):
        return negative, f"({text})" if weight == "1" else f"{weight} · ({text})"
    minus, text = text.startswith("−"), text.removeprefix("−")
    return negative != minus, text if weight == "1" else f"{weight} · {text}"


def is_sum(text: str) -> bool:
    """Whether a plus or a minus stands between terms, outside all brackets and norms."""
    depth, in_norm = 0, False
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        in_norm ^= depth == 0 and character == "‖"
        if depth == 0 and not in_norm and text[place : place + 3] in (" + ", " − "):
            return True
    return False
