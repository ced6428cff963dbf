"""Options of a command line that sweeps over parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import OverrideParseException

from gan_runner.errors import ConfigError

PLAIN_KEYS = ("seed", "seeds", "resume", "objective", "full_scale")
"""Top-level options that hold values. All others are groups."""


def parse_overrides(lines: Sequence[str]) -> list[Override]:
    """Parse options KEY=VALUE with Hydra's parser.

    Raises:
        OverrideParseException: one of them cannot be read.
    """
    return OverridesParser.create().parse_overrides(list(lines))


def looks_like_part(override: Override) -> bool:
    """Whether an option is written like the choice of a part, `GROUP=NAME` or `GROUP@PLACE=NAME`."""
    return "." not in override.key_or_group and override.key_or_group not in PLAIN_KEYS


def leave_to_jobs(lines: Sequence[str]) -> list[str]:
    """Rewrite a sweep over parts so that each single value is a choice of one: `choice(x)` for `x`.

    Hydra first composes the options that all jobs share, without the swept parts. In a sweep over datasets it would
    reject `dataset.root=x`, because no dataset is chosen yet. It passes choices on to the jobs, as typed.
    """
    overrides = parse_overrides(lines)
    if not any(override.is_sweep_override() and looks_like_part(override) for override in overrides):
        return list(lines)
    return [as_choice(override) for override in overrides]


def as_choice(override: Override) -> str:
    """A single value as a choice of one.

    Deletions, options of Hydra itself, and values that Hydra would not pass on unchanged (one with an apostrophe) stay
    as they are.
    """
    if override.is_sweep_override() or override.is_delete() or override.is_hydra_override():
        return str(override.input_line)
    key, text = override.get_key_element(), override.get_value_element_as_str()
    choice = f"{key}=choice({repr(text) if text in ('', 'null') else text})"
    try:
        (passed_on,) = next(iter(parse_overrides([choice]))).sweep_string_iterator()
        if parse_overrides([f"{key}={passed_on}"])[0].value() == override.value():
            return choice
    except OverrideParseException:
        pass
    return str(override.input_line)


def expand_globs(lines: Sequence[str], options_of: Callable[[str], Sequence[str]]) -> list[str]:
    """Replace each `GROUP=glob(PATTERN)` by the choice of the options that match. A `*` does not match a slash.

    Hydra itself finds no options in folders of a group, and starts no run without an error if none matches.

    Args:
        lines: options KEY=VALUE.
        options_of: maps a group to its options, also those in its folders, as `FOLDER/NAME`.

    Raises:
        ConfigError: no option matches.
    """
    expanded = []
    for line, override in zip(lines, parse_overrides(lines)):
        value = override.value()
        if isinstance(value, Glob):
            options = options_of(override.key_or_group)
            depths = {pattern.count("/") for pattern in value.include}
            names = [name for name in value.filter(list(options)) if name.count("/") in depths]
            if not options:
                raise ConfigError(f"{line} names a group that does not exist; gan-run --help lists the groups")
            if not names:
                raise ConfigError(f"{line} matches none of the options; choose from {', '.join(options)}")
            line = f"{override.get_key_element()}=choice({','.join(names)})"
        expanded.append(line)
    return expanded


def choices_of_parts(lines: Sequence[str], options_of: Callable[[str], Sequence[str] | None]) -> Iterator[list[str]]:
    """Every combination of parts that the jobs of a sweep choose. Options that are not parts are left out.

    If a line names a group twice, the last one counts.

    Args:
        lines: options KEY=VALUE, sweeps included.
        options_of: maps a name to the options of that group, or to None if there is no such group. Any key may be a
            group: for Hydra, a folder of that name makes it one.
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
