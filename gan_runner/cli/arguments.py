"""Command-line options, checks and one-line errors shared by gan-sample, gan-eval and gan-compare."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from gan_runner.cli.flags import VERSION, Parser
from gan_runner.cli.messages import explain
from gan_runner.config.resolve import register
from gan_runner.config.trust import search_working_directory
from gan_runner.config.validation import SEEDS
from gan_runner.distributed import processes
from gan_runner.errors import BadInput, ConfigError, DiskFull
from gan_runner.tools.activity import Activity
from gan_runner.tools.files import check_working_directory
from gan_runner.tools.home import ensure_home
from gan_runner.tools.pipes import pipe_safe_output

log = logging.getLogger("gan_runner")


def command(
    parser: Callable[[], Parser], doing: str, file_advice: str
) -> Callable[[Callable[[argparse.Namespace], None]], Callable[..., None]]:
    """Decorate a function of parsed options to make it the main function of a command.

    An error in the options, or in the files that they name, becomes one line on standard error and exit code 2; a full
    disk becomes one line and exit code 1.

    Args:
        parser: returns the parser of the command line.
        doing: what the command does, said after two seconds.
        file_advice: what to do if a file cannot be read or written.
    """

    def decorate(run: Callable[[argparse.Namespace], None]) -> Callable[..., None]:
        @pipe_safe_output()
        def main(arguments: Sequence[str] | None = None) -> None:
            line = parser()
            line.add_argument("--version", action="version", version=VERSION)
            options = line.parse_intermixed_args(arguments)
            ensure_home()
            register()
            if getattr(options, "trust", []):
                search_working_directory()
            try:
                check_working_directory()
                if not processes.is_first():
                    return  # torchrun has started the command several times
                with Activity(doing), shown_log():
                    run(options)
            except DiskFull as error:
                line.fail(1, f"{error.problem}, then type the same command again")
            except (BadInput, HydraException, OmegaConfBaseException, OSError) as error:
                of_file = isinstance(error, OSError) and not isinstance(error, HydraException)
                line.fail(2, f"{explain_file(error)}; {file_advice}" if of_file else in_flags(explain(error)))

        return main

    return decorate


@contextmanager
def shown_log() -> Iterator[None]:
    """Context in which what the package logs is printed on standard error."""
    handler = logging.StreamHandler()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


FLAGS = {r"'?\btrusted=\[([^]]*)\]'?": r"--trust \1", r"\btrainer\.device=": "--device "}
"""Options of `gan-run` that the other commands have as flags: a pattern, and its replacement."""


def in_flags(line: str) -> str:
    """An error line whose advice names the flags of this command instead of options of `gan-run`."""
    for option, flag in FLAGS.items():
        line = re.sub(option, flag, line)
    return line


def explain_file(error: Any) -> str:
    """The file of an OSError, and what is wrong with it."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


DEFAULT_SAMPLES = 64
"""How many samples `gan-sample` draws without `--n`."""


def add_run(parser: Parser) -> None:
    """Add the options of a command that loads a trained run."""
    parser.add_argument("run", type=Path, help="a run's directory, or one of its checkpoints")
    parser.add_argument("--checkpoint", choices=["last", "best"], default="last", help="which one (default last)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    parser.add_argument("--trust", nargs="+", default=[], metavar="PACKAGE", help="packages whose code the run used")


def refuse(*rules: tuple[object, str]) -> None:
    """Raise ConfigError with the message of the first rule whose condition holds."""
    for holds, message in rules:
        if holds:
            raise ConfigError(message)


def seed(text: str) -> int:
    """Parse a seed of torch's random number generators."""
    number = int(text)
    if number not in SEEDS:
        raise argparse.ArgumentTypeError(f"must lie between {SEEDS[0]} and {SEEDS[-1]}")
    return number


def at_least_one(text: str) -> int:
    """Parse an integer that is at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


MAX_FACTOR = 1e6
"""The largest factor; a larger one is a mistake."""


def factor(text: str) -> float:
    """Parse a number by which a vector is multiplied."""
    number = float(text)
    if not abs(number) <= MAX_FACTOR:  # also true for NaN
        raise argparse.ArgumentTypeError(f"must lie between -{MAX_FACTOR:g} and {MAX_FACTOR:g}")
    return number


def png(text: str) -> Path:
    """Parse the path of a PNG file to write."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{path} must end in .png, because a PNG file is written")
    return path
