"""Shared by gan-sample, gan-eval and gan-compare: options, their checks, and errors of one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from gan_runner.cli.flags import VERSION, Parser
from gan_runner.cli.messages import explain
from gan_runner.config.resolve import register
from gan_runner.config.trust import search_working_directory
from gan_runner.errors import BadInput, ConfigError, DiskFull
from gan_runner.tools.outlets import outlets


def command(
    parser: Callable[[], Parser], elsewhere: str
) -> Callable[[Callable[[argparse.Namespace], None]], Callable[..., None]]:
    """Make a command of a function of parsed options.

    What is wrong with the options, or with the files that they name, is one line on standard error and exit code 2;
    a full disk is one and exit code 1.

    Args:
        parser: of the command line.
        elsewhere: what to do where a file cannot be read or written.
    """

    def decorate(run: Callable[[argparse.Namespace], None]) -> Callable[..., None]:
        @outlets()
        def main(arguments: Sequence[str] | None = None) -> None:
            line = parser()
            line.add_argument("--version", action="version", version=VERSION)
            options = line.parse_intermixed_args(arguments)
            register()
            if getattr(options, "trust", []):
                search_working_directory()
            try:
                run(options)
            except DiskFull as error:
                line.fail(1, f"{error.problem}; free some space, and run the same command again")
            except (BadInput, HydraException, OmegaConfBaseException, OSError) as error:
                of_file = isinstance(error, OSError) and not isinstance(error, HydraException)
                line.fail(2, f"{place_of(error)}; {elsewhere}" if of_file else explain(error))

        return main

    return decorate


def place_of(error: Any) -> str:
    """Which file an OSError is about, and what is wrong with it."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def add_run(parser: Parser) -> None:
    """The options of a command that loads a trained run."""
    parser.add_argument("run", type=Path, help="a run's directory, or one of its checkpoints")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    parser.add_argument("--trust", nargs="+", default=[], metavar="PACKAGE", help="packages whose code the run used")


def refuse(*rules: tuple[object, str]) -> None:
    """Raise ConfigError with the message of the first rule whose condition holds."""
    for holds, message in rules:
        if holds:
            raise ConfigError(message)


def at_least_one(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


LARGEST = 1e6
"""A factor beyond it is a mistake."""


def factor(text: str) -> float:
    """A number to multiply a vector by."""
    number = float(text)
    if not abs(number) <= LARGEST:  # nor if it is NaN
        raise argparse.ArgumentTypeError(f"must lie between -{LARGEST:g} and {LARGEST:g}")
    return number


def png(text: str) -> Path:
    """The path of a PNG picture to write."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{path} must end in .png, as what is written is one")
    return path
