"""Find the options and knobs that a word of the command line may mean, by their names and descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gan_runner.config.comments import GROUPS, Knob, document_of, names_of, options, root_knobs, sections
from gan_runner.config.suggestions import did_you_mean, near

FEW = 2
"""At most this many knobs are suggested."""

NOISE = {"n", "num", "number", "max", "min", "total", "use", "of", "the", "a"}
"""Words that do not say what a name is about."""


@dataclass(frozen=True)
class Owned:
    """A knob, and the names of the options that have it with this default, by group; none for a knob of every run."""

    knob: Knob
    owners: Mapping[str, Sequence[str]]


def typed(choices: Mapping[str, Sequence[str]]) -> str:
    """Options by their group, as typed."""
    return " or ".join(f"{group}={' | '.join(names)}" for group, names in choices.items())


@cache
def known_knobs() -> dict[str, list[Owned]]:
    """Every knob of `conf/` by its key, once for each default and description; those of every run come first.

    Then come those of a group's own options, and the most frequent before others.
    """
    found: dict[Knob, dict[str, list[str]]] = {knob: {} for knob in root_knobs()}
    for group in GROUPS:
        for one in options(group):
            for knob in one.knobs:
                found.setdefault(knob, {}).setdefault(group, []).append(one.name)
    knobs: dict[str, list[Owned]] = {}
    for knob, owners in found.items():
        knobs.setdefault(knob.key, []).append(Owned(knob, owners))

    def rank(item: tuple[str, list[Owned]]) -> tuple[bool, bool, int]:
        key, owned = item
        groups = [group for one in owned for group, names in one.owners.items() for _ in names]
        return (True, key.partition(".")[0] not in groups, -len(groups)) if owned[0].owners else (False, False, 0)

    return dict(sorted(knobs.items(), key=rank))


def owners_of(key: str) -> str:
    """The options that have a knob, or a section of knobs, as typed; empty if none has it, or every run."""
    owners: dict[str, dict[str, None]] = {}
    for owned in knobs_below(key):
        for group, names in owned.owners.items():
            owners.setdefault(group, {}).update(dict.fromkeys(names))
    return typed({group: list(names) for group, names in owners.items()})


def knobs_below(key: str) -> list[Owned]:
    """The knobs with this key, or in the section with this key."""
    return [one for name, knobs in known_knobs().items() if f"{name}.".startswith(f"{key}.") for one in knobs]


def suggested_knob(word: str, siblings: Iterable[str], family: str = "") -> str:
    """Advice for a key that a configuration does not have: the options that have it, or keys that it may mean.

    Args:
        word: the key without its family.
        siblings: the keys of its family, which are listed if nothing is near.
        family: the keys above it, such as `trainer`.
    """
    choices = list(siblings)
    if owners := owners_of(f"{family}.{word}".lstrip(".")):
        return f" in this configuration; it belongs to {owners}"
    if not near(word, choices, 0.8):
        keys = [key for key in known_knobs() if not key.startswith("suggested.")]
        found = [key for key in keys if key.rpartition(".")[2] == word]
        if not found and not near(word, choices):
            texts = {key: text_of(key) for key in keys}
            found = with_word(word, texts) or with_parts(word, texts)
        if found:
            return f"; did you mean {either(found[: 1 if is_of_every_run(found[0]) else FEW])}?"
    return did_you_mean(word, choices, f"{family}.".lstrip("."))


def is_of_every_run(key: str) -> bool:
    """Whether `config.yaml` has a knob."""
    return not known_knobs()[key][0].owners


def text_of(key: str) -> str:
    """The descriptions of a knob, and its last two names."""
    return " ".join([*(owned.knob.description for owned in known_knobs()[key]), *key.split(".")[-2:]])


def suggested_option(group: str, word: str, names: Iterable[str], folders: Sequence[Path] = ()) -> str:
    """Advice for an option that does not exist: another group that has it, or the options that it may mean."""
    if others := [other for other in GROUPS if other != group and word in names_of(other)]:
        return f"; did you mean {either(f'{other}={word}' for other in others)}?"
    names = list(names)
    documents = {name: document_of(group, name, folders) for name in names}
    texts = {name: " ".join([name, *document.comment]) for name, document in documents.items() if document}
    same = [name for name in names if name == word.lower()]
    found = same or with_word(word, texts) or ([] if near(word, names) else with_parts(word, texts))
    return f"; did you mean {either(found[:FEW])}?" if found else did_you_mean(word, names)


def with_word(word: str, texts: Mapping[str, str]) -> list[str]:
    """The names whose text has a word, those first whose text begins with it."""
    found = {name: re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.I) for name, text in texts.items()}
    places = {name: match.start() for name, match in found.items() if match}
    return sorted(places, key=places.__getitem__)


def with_parts(word: str, texts: Mapping[str, str]) -> list[str]:
    """The names whose text has all parts of a word, such as `learning` and `rate`."""
    wanted = parts(word) - NOISE
    found = {name: text.lower() for name, text in texts.items() if wanted and wanted <= parts(text)}
    return sorted(found, key=lambda name: min(found[name].index(part) for part in wanted))


def parts(text: str) -> set[str]:
    """The words of a text in lower case and the singular, those with underscores and hyphens divided."""
    return {part if len(part) < 4 else part.removesuffix("s") for part in re.findall(r"[^\W_]+", text.lower())}


def either(words: Iterable[str]) -> str:
    """Words as alternatives: `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def described_section(key: str) -> str:
    """What `config.yaml` says about a section of options, in parentheses; empty if it says nothing."""
    comment = sections().get(key)
    return f" ({comment})" if comment else ""
