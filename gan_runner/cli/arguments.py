"""Command lines whose complaints are one line, as those of `gan-run` are."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a line in one of its own, without the usage, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Say it, and where all options stand."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")
