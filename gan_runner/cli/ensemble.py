"""`gan-eval --ensemble`: the error of several classifiers whose probabilities are averaged."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_runner.cli.choices import METRIC_GROUPS, evaluation_config
from gan_runner.config.fingerprint import without_runtime_keys
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError
from gan_runner.games.base import Classifies
from gan_runner.metrics.classification import all_batches, misclassified, resolve_split
from gan_runner.runs.saved import Checkpoint, runs_in
from gan_runner.runs.statistics import mean_and_sd
from gan_runner.sampling.inference import classify
from gan_runner.system import System
from gan_runner.tools.files import write_json


def run(options: argparse.Namespace) -> None:
    """Count the errors of every completed run in a directory, and of their ensemble; print and save them.

    The ensemble's probabilities are the means of its members' (Salimans et al. 2016, arXiv:1606.03498, Section 6.1).
    The result is saved as `ensemble.json`.

    Args:
        options: those of gan-eval. `run` is the directory of a sweep, or of several seeds.

    Raises:
        ConfigError: there are fewer than two runs, they have different data, or options do not apply.
    """
    check_options(options)
    if not options.run.is_dir():
        raise ConfigError(f"there is no directory {options.run}; give the directory of a sweep")
    runs = {str(run.path.relative_to(options.run)): run for run in runs_in(options.run)}
    left_out = {name: why_left_out(run.outcome) for name, run in runs.items() if run.outcome["status"] != "completed"}
    saved = {name: run.checkpoint(options.checkpoint) for name, run in runs.items() if name not in left_out}
    if len(saved) < 2:
        raise ConfigError(
            f"{options.run} holds {len(saved)} completed runs of {len(runs)}, but an ensemble needs at least two; "
            "give the directory of a sweep"
        )
    configs = {name: resolve(evaluation_config(checkpoint, options)) for name, checkpoint in saved.items()}
    check_same_data(configs)
    members = {name: member(name, checkpoint, configs[name]) for name, checkpoint in saved.items()}
    probabilities, label, split = predict(members, options.split)
    errors = {name: int(misclassified(each, label).sum()) for name, each in probabilities.items()}
    together = int(misclassified(torch.stack([*probabilities.values()]).mean(0), label).sum())
    counts = {"errors": errors, "ensemble_errors": together, "images": len(label)}
    found = {**counts, "split": split, "left_out": left_out}
    print(*report(found), sep="\n")
    try:
        write_json(options.run / "ensemble.json", found)
    except OSError as error:
        raise ConfigError(
            f"{options.run} is not writable ({error.strerror}), so these errors are not saved; change its permissions"
        ) from error


def why_left_out(summary: Mapping[str, Any]) -> str:
    """The status of a run that did not complete, and its error."""
    return " ".join(": ".join(filter(None, [summary["status"], summary.get("error")])).split())


def check_options(options: argparse.Namespace) -> None:
    """Check that no option concerns samples: an ensemble counts errors on all images of a split.

    Raises:
        ConfigError: one does.
    """
    given = [f"--{name}" for name in ("samples", "seed") if getattr(options, name) is not None]
    given += [override for override in options.overrides if override.lstrip("+~").startswith(METRIC_GROUPS)]
    if given:
        raise ConfigError(
            f"--ensemble counts errors on all images of a split, so {given[0]} has no effect; leave it out"
        )


def member(name: str, checkpoint: Checkpoint, config: DictConfig) -> System:
    """The system of a trained classifier.

    Raises:
        ConfigError: it does not classify.
    """
    system = checkpoint.build(config)
    if not isinstance(system.game, Classifies):
        raise ConfigError(
            f"run {name} has no classifier, because its game is {type(system.game).__name__}; use runs of "
            "game=semi_supervised"
        )
    return system


def predict(members: Mapping[str, System], split: Any) -> tuple[dict[str, Tensor], Tensor, str]:
    """Classify all images of a split.

    Returns:
        Each member's probabilities (n, K) in float64; the labels (n,); the name of the split.

    Raises:
        ConfigError: the data does not have the split.
    """
    first = next(iter(members.values()))
    try:
        split = resolve_split(first.dataset, split)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    batches = list(all_batches(first.dataset.load(first.device, split)))
    probabilities = {
        name: torch.cat([classify(system, batch["data"]).double().softmax(1).cpu() for batch in batches])
        for name, system in members.items()
    }
    return probabilities, torch.cat([batch["label"].cpu() for batch in batches]), split


def check_same_data(configs: Mapping[str, DictConfig]) -> None:
    """Check that all runs were trained on the same data and the same labels.

    Raises:
        ConfigError: two of them were not.
    """
    (name, first), *others = ((name, training_set(config)) for name, config in configs.items())
    for other, known in others:
        for what, value in known.items():
            if value != first[what]:
                raise ConfigError(
                    f"runs {name} and {other} have different {what}, so their ensemble would use more data than each "
                    f"of them; {ADVICE[what]}"
                )


ADVICE = {
    "dataset": "give a directory whose runs have the same data",
    "labels": "train with game.labelled.seed=0, so that all seeds have the same labels",
}


def training_set(config: DictConfig) -> dict[str, Any]:
    """The options that select a run's data and labels."""
    plain: Any = OmegaConf.to_container(config)
    labels = dict(plain["game"].get("labelled", {}))
    if labels.get("seed", 0) is None:
        labels["seed"] = plain["seed"]
    return {"dataset": without_runtime_keys(plain["dataset"]), "labels": labels}


def report(found: Mapping[str, Any]) -> list[str]:
    """Lines with the errors of each run and of the ensemble, and the runs left out."""
    errors: dict[str, int] = found["errors"]
    left_out = [f"run {name} is left out: {status}" for name, status in found["left_out"].items()]
    each = [f"run {name}: {count} errors" for name, count in errors.items()]
    spread = mean_and_sd(map(float, errors.values()))
    assert spread is not None
    return [
        *left_out,
        *each,
        f"single run: {spread['mean']:.1f} ± {spread['sd']:.1f} errors",
        f"ensemble of {len(errors)}: {found['ensemble_errors']} errors in {found['images']:,} {found['split']} images",
    ]
