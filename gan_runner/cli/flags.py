"""The flags of the commands, and the answers to `--help` and `--version`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from gan_runner import __version__
from gan_runner.cli.help import help_text
from gan_runner.config.suggestions import near

VERSION = f"gan-runner {__version__}"
"""The text that `--version` prints."""


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """End the command with the message, and the flag that may be meant or where the options are listed."""
        unknown = re.match(r"unrecognized arguments: -*(\w[^=\s]*)", message)
        similar = unknown and near(f"--{unknown[1]}", re.findall(r"--[\w-]+", self.format_usage()), 0.7)
        meant = f"; did you mean {similar}?" if similar else f"; see {self.prog} --help"
        self.fail(2, f"{message}{meant}")

    def fail(self, code: int, message: str) -> NoReturn:
        """End the command with one line on standard error."""
        self.exit(code, f"{self.prog}: {' '.join(message.split())}\n")


SWITCHES = (
    *(("--multirun", "-m"), ("--run", "-r"), ("--resolve",), ("--help", "-h"), ("--hydra-help",), ("--version",)),
    ("--shell-completion", "-sc"),
)
VALUES = (
    *(("--config-dir", "-cd"), ("--config-name", "-cn"), ("--config-path", "-cp")),
    *(("--cfg", "-c"), ("--package", "-p"), ("--info", "-i"), ("--experimental-rerun",)),
)
"""Hydra's flags, without and with a value."""


def hydra_flags(words: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags in a command line of `gan-run`, `overrides`: its words GROUP=NAME and KEY=VALUE, and `unknown`."""
    parser = Parser(prog="gan-run", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*", default=[])
    for names in SWITCHES:
        parser.add_argument(*names, action="store_true")
    for names in VALUES:
        parser.add_argument(*names, nargs="?")
    line, unknown = parser.parse_known_intermixed_args(words)
    line.unknown = unknown
    return line


def answer(line: argparse.Namespace) -> str | None:
    """The text that a command line asks for by `--version` or `--help`; None if it asks for neither."""
    if line.version:
        return VERSION
    return help_text(line) if line.help else None
