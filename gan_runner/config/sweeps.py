"""What is typed beside a sweep over parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import OverrideParseException

PLAIN_KEYS = ("seed", "seeds", "resume", "objective", "full_scale")
"""Top-level options that are values, and not groups of parts."""


def parse_overrides(lines: Sequence[str]) -> list[Override]:
    """Options KEY=VALUE as Hydra reads them.

    Raises:
        OverrideParseException: one of them cannot be read.
    """
    return OverridesParser.create().parse_overrides(list(lines))


def looks_like_part(override: Override) -> bool:
    """Whether an option is spelled like the choice of a part, `GROUP=NAME` or `GROUP@PLACE=NAME`, not like a value."""
    return "." not in override.key_or_group and override.key_or_group not in PLAIN_KEYS


def leave_to_jobs(lines: Sequence[str]) -> list[str]:
    """The same sweep, with every single value typed as a choice of one.

    Hydra first composes what all jobs of a sweep share, without the parts that are swept. It would refuse
    `dataset.root=x` of a sweep over datasets or experiments, as nothing has that option yet. Choices are left to the
    jobs, each of which is told `dataset.root=x` as it was typed.
    """
    overrides = parse_overrides(lines)
    if not any(override.is_sweep_override() and looks_like_part(override) for override in overrides):
        return list(lines)
    return [as_choice(override) for override in overrides]


def as_choice(override: Override) -> str:
    """A single value as a choice of one.

    What deletes a key, and what is for Hydra itself, stays as it is; so does a value that Hydra would not tell a job as
    it was typed, such as one with an apostrophe.
    """
    if override.is_sweep_override() or override.is_delete() or override.is_hydra_override():
        return str(override.input_line)
    key, text = override.get_key_element(), override.get_value_element_as_str()
    choice = f"{key}=choice({repr(text) if text in ('', 'null') else text})"
    try:
        (told,) = next(iter(parse_overrides([choice]))).sweep_string_iterator()
        if parse_overrides([f"{key}={told}"])[0].value() == override.value():
            return choice
    except OverrideParseException:
        pass
    return str(override.input_line)


def choices_of_parts(lines: Sequence[str], options_of: Callable[[str], Sequence[str] | None]) -> Iterator[list[str]]:
    """Every combination of parts that the jobs of a sweep choose, without other values. The last of a group counts.

    Args:
        lines: options KEY=VALUE, sweeps among them.
        options_of: the names of a group's options; None if there is no group of that name. Any key may be one: for
            Hydra, a folder of that name makes it a group.
    """
    alternatives = {}
    for override in parse_overrides(lines):
        options = options_of(override.key_or_group)
        if options is None:
            continue
        key, value = override.get_key_element(), override.value()
        if override.is_sweep_override():
            names = value.filter(list(options)) if isinstance(value, Glob) else override.sweep_string_iterator()
            alternatives[key] = [f"{key}={name}" for name in names]
        else:
            alternatives[key] = [str(override.input_line)]
    yield from map(list, product(*alternatives.values()))
