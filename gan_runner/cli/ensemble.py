"""`gan-eval --ensemble`: several classifiers as one, which believes what they believe on average."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_runner.cli.choices import GROUPS, chosen
from gan_runner.config.fingerprint import without_runtime_keys
from gan_runner.config.resolve import resolve
from gan_runner.errors import ConfigError
from gan_runner.games.base import Classifies
from gan_runner.metrics.classification import all_batches, misclassified, resolve_split
from gan_runner.runs.saved import Checkpoint, runs_in
from gan_runner.runs.sweep import mean_and_sd
from gan_runner.sampling.inference import classify
from gan_runner.system import System
from gan_runner.tools.files import write_json


def run(options: argparse.Namespace) -> None:
    """Count the errors of every completed run in a directory and of all together; tell them, keep `ensemble.json`.

    The ensemble's probabilities are the means of its members' (Salimans et al. 2016, arXiv:1606.03498, Section 6.1).

    Args:
        options: of gan-eval, whose `run` is the directory of a sweep or of seeds side by side.

    Raises:
        ConfigError: there are no two such runs, they do not go together, or options are for samples.
    """
    check_options(options)
    if not options.run.is_dir():
        raise ConfigError(f"there is no directory {options.run}; name that of a sweep")
    runs = {str(run.path.relative_to(options.run)): run for run in runs_in(options.run)}
    left_out = {name: why(run.outcome) for name, run in runs.items() if run.outcome["status"] != "completed"}
    saved = {name: run.checkpoint(options.checkpoint) for name, run in runs.items() if name not in left_out}
    if len(saved) < 2:
        raise ConfigError(
            f"{options.run} holds {len(saved)} completed runs of {len(runs)}, and an ensemble has two or more; "
            "name the directory of a sweep"
        )
    configs = {name: resolve(chosen(checkpoint, options)) for name, checkpoint in saved.items()}
    check_same_types(configs)
    members = {name: member(name, checkpoint, configs[name]) for name, checkpoint in saved.items()}
    beliefs, label, split = believed(members, options.split)
    errors = {name: int(misclassified(belief, label).sum()) for name, belief in beliefs.items()}
    together = int(misclassified(torch.stack([*beliefs.values()]).mean(0), label).sum())
    found = {"errors": errors, "ensemble": together, "images": len(label), "split": split, "left_out": left_out}
    print(*report(found), sep="\n")
    try:
        write_json(options.run / "ensemble.json", found)
    except OSError as error:
        raise ConfigError(f"{options.run} cannot be written ({error.strerror}); what is above is not kept") from error


def why(summary: Mapping[str, Any]) -> str:
    """How a run ended that is left out."""
    return " ".join(": ".join(filter(None, [summary["status"], summary.get("error")])).split())


def check_options(options: argparse.Namespace) -> None:
    """Refuse what has no part in an ensemble: it counts errors of classifiers on all images of a split.

    Raises:
        ConfigError: naming it.
    """
    given = [f"--{name}" for name in ("samples", "seed") if getattr(options, name) is not None]
    given += [override for override in options.overrides if override.lstrip("+~").startswith(GROUPS)]
    if given:
        raise ConfigError(
            f"--ensemble counts errors on all images of a split, in which {given[0]} has no part; leave it out"
        )


def member(name: str, checkpoint: Checkpoint, config: DictConfig) -> System:
    """A classifier, as it was trained.

    Raises:
        ConfigError: it does not classify.
    """
    system = checkpoint.build(config)
    if not isinstance(system.game, Classifies):
        raise ConfigError(f"run {name} does not classify ({type(system.game).__name__}); game=semi_supervised does")
    return system


def believed(members: Mapping[str, System], split: Any) -> tuple[dict[str, Tensor], Tensor, str]:
    """What every member believes of all images of a split, (n, K) probabilities in float64; their labels (n,); which.

    Raises:
        ConfigError: the data has not the split.
    """
    first = next(iter(members.values()))
    try:
        split = resolve_split(first.dataset, split)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    batches = list(all_batches(first.dataset.load(first.device, split)))
    beliefs = {
        name: torch.cat([classify(system, batch["data"]).double().softmax(1).cpu() for batch in batches])
        for name, system in members.items()
    }
    return beliefs, torch.cat([batch["label"].cpu() for batch in batches]), split


def check_same_types(configs: Mapping[str, DictConfig]) -> None:
    """Refuse runs that were not told of the same data and of the same labels.

    Raises:
        ConfigError: naming two of them, and what differs.
    """
    (name, first), *others = ((name, known_of(config)) for name, config in configs.items())
    for other, known in others:
        for what, value in known.items():
            if value != first[what]:
                raise ConfigError(
                    f"runs {name} and {other} differ in {what}, so their ensemble would know more than either; "
                    f"{ADVICE[what]}"
                )


ADVICE = {
    "dataset": "name a directory whose runs have the same data",
    "labels": "set game.labelled.seed to a number, so that all seeds know the same",
}


def known_of(config: DictConfig) -> dict[str, Any]:
    """What a run was told: its data, and which labels."""
    plain: Any = OmegaConf.to_container(config)
    labels = dict(plain["game"].get("labelled", {}))
    if labels.get("seed", 0) is None:
        labels["seed"] = plain["seed"]
    return {"dataset": without_runtime_keys(plain["dataset"]), "labels": labels}


def report(found: Mapping[str, Any]) -> list[str]:
    """Errors of each and of all, and who was left out, in lines."""
    errors: dict[str, int] = found["errors"]
    left_out = [f"run {name} is left out: {status}" for name, status in found["left_out"].items()]
    each = [f"run {name}: {count} errors" for name, count in errors.items()]
    spread = mean_and_sd(map(float, errors.values()))
    assert spread is not None
    return [
        *left_out,
        *each,
        f"alone: {spread['mean']:.1f} ± {spread['sd']:.1f} errors",
        f"ensemble of {len(errors)}: {found['ensemble']} errors of {found['images']:,} {found['split']} images",
    ]
