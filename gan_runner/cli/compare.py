"""`gan-compare`: compare runs on one HTML page, which opens without a network connection."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gan_runner.cli.arguments import Parser, command
from gan_runner.cli.page import configurations_of, page_of
from gan_runner.errors import ConfigError
from gan_runner.runs.saved import find_runs
from gan_runner.tools.files import write_text


def parser() -> Parser:
    """The command line."""
    arguments = Parser(prog="gan-compare", description="Put runs beside one another on one HTML page.")
    arguments.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="directories of runs, or of sweeps")
    arguments.add_argument(
        "--out",
        type=Path,
        metavar="PAGE.html",
        help="default: comparison.html in RUN_DIR if only one is given, or else here",
    )
    return arguments


@command(parser, doing="reading the runs and drawing the page", file_advice="choose another place by --out")
def main(options: argparse.Namespace) -> None:
    """The command `gan-compare`."""
    print(compare(options.runs, options.out))


def compare(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Read the runs and write the page; return its path.

    Raises:
        ConfigError: a path holds no run, or `out` is a directory.
        DataError: a file of a run is broken.
    """
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out} is a directory; name a file in it, such as {out / 'comparison.html'}")
    configurations = configurations_of(find_runs(paths))
    page = out or (paths[0] if len(paths) == 1 else Path()) / "comparison.html"
    write_text(page, page_of(configurations, ", ".join(map(str, paths))))
    return page


if __name__ == "__main__":
    main()
