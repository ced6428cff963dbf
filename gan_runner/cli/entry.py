"""The command `gan-run`, which answers `--help` and `--version` before anything slow is imported."""

from __future__ import annotations

import sys

from gan_runner.cli.flags import Parser, answer, hydra_flags
from gan_runner.errors import BadInput
from gan_runner.tools.activity import Activity
from gan_runner.tools.pipes import pipe_safe_output


def main() -> None:
    """The command `gan-run`: answer `--help` and `--version` at once, and import Hydra for everything else."""
    line = hydra_flags(sys.argv[1:])
    if line.help or line.version:
        with pipe_safe_output():
            try:
                print(answer(line))
            except BadInput as error:
                Parser(prog="gan-run").fail(2, str(error))
    else:
        with Activity("starting: loading Hydra and PyTorch, reading the configuration"):
            from gan_runner.cli import run

            run.main()
