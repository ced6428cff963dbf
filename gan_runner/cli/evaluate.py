"""`gan-eval`: measure a trained run with any metrics, from its checkpoint."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_runner.cli.arguments import Parser
from gan_runner.cli.messages import explain
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import RUNTIME_KEYS, register, resolve
from gan_runner.errors import BadInput, ConfigError
from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.files import write_json
from gan_runner.tools.outlets import outlets

if TYPE_CHECKING:
    from gan_runner.datasets.base import Split


GROUPS = ("metric", "extractor")
"""What is chosen anew; everything else stays as the run had it."""


OF_SPLITS = ("split", "measured_on")
"""Options by which a metric that has a split of its own is told which."""


SAMPLES, SEED = 10_000, 1
"""What is measured if nothing else is said."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = Parser(
        prog="gan-eval",
        description="Measure a trained run. Figures are printed, and kept in RUN_DIR/evaluation.json.",
        epilog="gan-eval RUN_DIR 'metric=[frechet_distance,precision_recall]' extractor=classifier --samples 10000",
    )
    arguments.add_argument("run", type=Path, help="a run's directory, or one of its checkpoints")
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
    arguments.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    arguments.add_argument("--trust", nargs="+", default=[], metavar="PACKAGE", help="packages whose code the run used")
    return arguments


@outlets()
def main(arguments: Sequence[str] | None = None) -> None:
    """The command `gan-eval`."""
    register()
    options = parser().parse_intermixed_args(arguments)
    try:
        if options.ensemble:
            from gan_runner.cli import ensemble

            ensemble.run(options)
        else:
            run(options)
    except (BadInput, HydraException, OmegaConfBaseException, OSError) as error:
        print(f"gan-eval: {' '.join(explain(error).split())}", file=sys.stderr)
        sys.exit(2)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Load, measure, tell, keep; the figures with the conditions under which they were measured."""
    from gan_runner.build import build_system
    from gan_runner.metrics.evaluator import Evaluator, build_metrics, check_own_splits, check_split
    from gan_runner.runs.checkpoints import load_checkpoint

    samples = SAMPLES if options.samples is None else options.samples
    seed = SEED if options.seed is None else options.seed
    if samples < 2:
        raise ConfigError(f"--samples {samples} is too few to be compared with data; choose 2 or more")
    checkpoint = getattr(RunDirectory(options.run), options.checkpoint) if options.run.is_dir() else options.run
    state = load_checkpoint(checkpoint)
    config = resolve(chosen(state["config"], options))
    system = build_system(config)
    system.load_state_dict(state["system"])
    try:
        split: Split = options.split or "train"
        check_split(system.dataset, split, "--split")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    metrics = build_metrics(config, system)
    check_own_splits(metrics, options.split, system.dataset.splits)
    evaluator = Evaluator(system, metrics, samples, seed, split)
    figures = evaluator.measure()
    how = {"step": state["step"], "seed": seed}
    measured = {
        name: {"value": value if math.isfinite(value) else None, **how, **evaluator.conditions[name]}
        for name, value in figures.items()
    }
    folder = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    tell(measured)
    keep(folder / "evaluation.json", measured)
    return measured


def keep(path: Path, measured: dict[str, Any]) -> None:
    """Write figures beside those that were measured before.

    Raises:
        ConfigError: that is not possible.
    """
    try:
        write_json(path, figures_in(path) | measured)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); the figures above are not kept") from error


def figures_in(kept: Path) -> dict[str, Any]:
    """What was measured before.

    Raises:
        ConfigError: the file holds something else.
    """
    try:
        before = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    except ValueError as error:
        raise ConfigError(f"{kept} is broken ({error}); remove it to measure anew") from error
    return dict(before)


def chosen(source: str, options: argparse.Namespace) -> DictConfig:
    """The run's configuration with the metrics and the extractor of the command line, and its other options.

    Raises:
        ConfigError: an option would change what was trained.
    """
    config = OmegaConf.create(source)
    assert isinstance(config, DictConfig)
    parsed = OverridesParser.create().parse_overrides(options.overrides)
    groups = [override for override in parsed if override.key_or_group in GROUPS]
    composed = composition([str(override.input_line) for override in groups])
    for override in groups:
        config[override.key_or_group] = composed[override.key_or_group]
    OmegaConf.set_struct(config, True)
    for override in parsed:
        if override in groups:
            continue
        family, _, name = override.key_or_group.partition(".")
        mine = family in GROUPS or (family == "dataset" and name in RUNTIME_KEYS)
        if not mine or override.is_add() or override.is_delete():
            raise ConfigError(
                f"{override.input_line} would change the run that is measured; give metric=[…], extractor=…, their "
                "options, or where the data is (dataset.root=…)"
            )
        OmegaConf.update(config, override.key_or_group, override.value())
    for metric in config.metric.values():
        for option in OF_SPLITS:
            if options.split is not None and option in metric:
                metric[option] = options.split
    config.trusted = list(options.trust)
    config.trainer.device = options.device
    config.objective, config.expected = None, {}
    return config


def composition(overrides: list[str]) -> DictConfig:
    """The configuration that these choices make, of which metrics and extractor are taken."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides)


def tell(measured: dict[str, Any]) -> None:
    """A line a figure."""
    width = max((len(name) for name in measured), default=0)
    for name, figure in measured.items():
        beside = ", ".join(f"{key} {value}" for key, value in figure.items() if key not in ("value", "seed"))
        value = "not finite" if figure["value"] is None else f"{figure['value']:.5g}"
        print(f"{name:<{width}}  {value}  ({beside})")


if __name__ == "__main__":
    main()
