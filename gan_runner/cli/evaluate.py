"""`gan-eval`: measure a trained run with any metrics, from its checkpoint."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_runner.cli.arguments import Parser, add_run, command, seed
from gan_runner.cli.choices import evaluation_config
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
        description="Measure a trained run. The values are printed and saved in RUN_DIR/evaluation.json.",
        epilog="gan-eval RUN_DIR 'metric=[frechet_distance,precision_recall]' extractor=classifier --samples 10000",
    )
    add_run(arguments)
    arguments.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="metric=[…] (left out: the run's own), extractor=…, their options; where the data is: dataset.root=…",
    )
    arguments.add_argument("--samples", type=int, help=f"how many are measured (default {SAMPLES:,})")
    arguments.add_argument("--seed", type=seed, help=f"of the latents (default {SEED})")
    arguments.add_argument("--split", choices=["train", "validation", "test"], help="of the data (default train)")
    arguments.add_argument(
        "--ensemble",
        action="store_true",
        help="RUN_DIR is that of a sweep: errors of its classifiers and of all together (default split test)",
    )
    return arguments


@command(
    parser, doing="loading the run and measuring it", file_advice="choose a run whose directory can be read and written"
)
def main(options: argparse.Namespace) -> None:
    """The command `gan-eval`."""
    if options.ensemble:
        from gan_runner.cli import ensemble

        ensemble.run(options)
    else:
        run(options)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Load a run, measure it, print and save the values; return them with the conditions of each."""
    from gan_runner.metrics.evaluator import Evaluator, build_metrics, check_own_splits, check_samples, check_split

    samples = SAMPLES if options.samples is None else options.samples
    of_latents = SEED if options.seed is None else options.seed
    if samples < 2:
        raise ConfigError(f"--samples {samples} is too few to compare with data; choose 2 or more")
    checkpoint = open_checkpoint(options.run, options.checkpoint)
    config = resolve(evaluation_config(checkpoint, options))
    system = checkpoint.build(config)
    try:
        split: Split = options.split or "train"
        check_split(system.dataset, split, "--split")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    metrics = build_metrics(config, system)
    check_samples(metrics, samples, "--samples is")
    check_own_splits(metrics, options.split, system.dataset.splits)
    evaluator = Evaluator(system, metrics, samples, of_latents, split)
    values = evaluator.measure()
    conditions = {"step": checkpoint.state["step"], "seed": of_latents}
    measured = {
        name: {"value": value if math.isfinite(value) else None, **conditions, **evaluator.conditions[name]}
        for name, value in values.items()
    }
    print_values(measured)
    save_values(checkpoint.folder / "evaluation.json", measured)
    return measured


def save_values(path: Path, measured: dict[str, Any]) -> None:
    """Add values to those that an earlier `gan-eval` saved.

    Raises:
        ConfigError: the file is broken, or not writable.
    """
    try:
        write_json(path, saved_values(path) | measured)
    except OSError as error:
        raise ConfigError(
            f"{path} is not writable ({error.strerror}), so the values above are not saved; change its permissions"
        ) from error


def saved_values(path: Path) -> dict[str, Any]:
    """The values that an earlier `gan-eval` saved for this run.

    Raises:
        ConfigError: the file is broken.
    """
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ConfigError(f"{path} is broken ({error}); remove it, then measure again") from error
    return dict(before)


def print_values(measured: dict[str, Any]) -> None:
    """Print a line per metric."""
    width = max((len(name) for name in measured), default=0)
    for name, entry in measured.items():
        conditions = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in ("value", "seed"))
        value = "not finite" if entry["value"] is None else f"{entry['value']:.5g}"
        print(f"{name:<{width}}  {value}  ({conditions})")


if __name__ == "__main__":
    main()
