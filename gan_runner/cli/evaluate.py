"""`gan-eval`: measure a trained run with any metrics, from its checkpoint."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_runner.cli.arguments import Parser, add_run, command
from gan_runner.cli.choices import chosen
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError
from gan_runner.runs.saved import open_checkpoint
from gan_runner.tools.files import write_json

if TYPE_CHECKING:
    from gan_runner.datasets.base import Split


SAMPLES, SEED = 10_000, 1
"""The default number of samples, and the default seed of their latents."""


def parser() -> Parser:
    """The command line."""
    arguments = Parser(
        prog="gan-eval",
        description="Measure a trained run. Figures are printed, and kept in RUN_DIR/evaluation.json.",
        epilog="gan-eval RUN_DIR 'metric=[frechet_distance,precision_recall]' extractor=classifier --samples 10000",
    )
    add_run(arguments)
    arguments.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="metric=[…] (left out: the run's own), extractor=…, their options; where the data is: dataset.root=…",
    )
    arguments.add_argument("--checkpoint", choices=["last", "best"], default="last", help="which one (default last)")
    arguments.add_argument("--samples", type=int, help=f"how many are measured (default {SAMPLES:,})")
    arguments.add_argument("--seed", type=int, help=f"of the latents (default {SEED})")
    arguments.add_argument("--split", choices=["train", "validation", "test"], help="of the data (default train)")
    arguments.add_argument(
        "--ensemble",
        action="store_true",
        help="RUN_DIR is that of a sweep: errors of its classifiers and of all together (default split test)",
    )
    return arguments


@command(parser, elsewhere="choose a run whose directory can be read and written")
def main(options: argparse.Namespace) -> None:
    """The command `gan-eval`."""
    if options.ensemble:
        from gan_runner.cli import ensemble

        ensemble.run(options)
    else:
        run(options)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Load, measure, tell, keep; the figures with the conditions under which they were measured."""
    from gan_runner.metrics.evaluator import Evaluator, build_metrics, check_own_splits, check_split

    samples = SAMPLES if options.samples is None else options.samples
    seed = SEED if options.seed is None else options.seed
    if samples < 2:
        raise ConfigError(f"--samples {samples} is too few to be compared with data; choose 2 or more")
    checkpoint = open_checkpoint(options.run, options.checkpoint)
    config = resolve(chosen(checkpoint, options))
    system = checkpoint.build(config)
    try:
        split: Split = options.split or "train"
        check_split(system.dataset, split, "--split")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    metrics = build_metrics(config, system)
    check_own_splits(metrics, options.split, system.dataset.splits)
    evaluator = Evaluator(system, metrics, samples, seed, split)
    figures = evaluator.measure()
    how = {"step": checkpoint.state["step"], "seed": seed}
    measured = {
        name: {"value": value if math.isfinite(value) else None, **how, **evaluator.conditions[name]}
        for name, value in figures.items()
    }
    print_values(measured)
    save_values(checkpoint.folder / "evaluation.json", measured)
    return measured


def save_values(path: Path, measured: dict[str, Any]) -> None:
    """Write figures beside those that were measured before.

    Raises:
        ConfigError: that is not possible.
    """
    try:
        write_json(path, saved_values(path) | measured)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); the figures above are not kept") from error


def saved_values(kept: Path) -> dict[str, Any]:
    """The metrics that an earlier `gan-eval` has written for this run.

    Raises:
        ConfigError: the file holds something else.
    """
    try:
        before = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    except ValueError as error:
        raise ConfigError(f"{kept} is broken ({error}); remove it to measure anew") from error
    return dict(before)


def print_values(measured: dict[str, Any]) -> None:
    """A line a figure."""
    width = max((len(name) for name in measured), default=0)
    for name, figure in measured.items():
        beside = ", ".join(f"{key} {value}" for key, value in figure.items() if key not in ("value", "seed"))
        value = "not finite" if figure["value"] is None else f"{figure['value']:.5g}"
        print(f"{name:<{width}}  {value}  ({beside})")


if __name__ == "__main__":
    main()
