"""The evaluator, which measures all metrics on one set of samples."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_runner.build import build_checked
from gan_runner.config.instantiate import locate
from gan_runner.config.options import options_in
from gan_runner.config.paths import CONF
from gan_runner.datasets.base import Data, Dataset, Split
from gan_runner.errors import ConfigError
from gan_runner.games.base import DrawsConditions
from gan_runner.metrics.base import (
    ChoosesSplit,
    HasConditions,
    HasCounts,
    NeedsSamples,
    Prepares,
    Streams,
    directions_of,
)
from gan_runner.metrics.results import Reference, Results
from gan_runner.requirements import declaration
from gan_runner.tools.activity import Activity

if TYPE_CHECKING:
    from gan_runner.system import System


Metrics = Mapping[str, Callable[..., dict[str, float]]]
"""Metrics by name."""


class Evaluator:
    """Draws samples from fixed latents and measures them.

    In a conditional game, samples get the conditions of the split that they are compared with.

    Args:
        system: the trained system.
        metrics: metrics by name.
        samples: number of samples, compared with as many real samples.
        seed: seed of the latents.
        split: split of the real samples.
        data: data of this split, if it is loaded already.
        selecting: whether the values select a checkpoint; errors are then counted on validation data, if there is any.

    Attributes:
        conditions: how each value was measured, by name: number of samples, of real samples if any were read, their
            split, and the metric's own conditions.
        seconds: total time of each metric; generating samples counts for the first metric that needs them.
        of_test: names of the values that depend on the test split. They must select nothing.
    """

    def __init__(
        self,
        system: System,
        metrics: Metrics,
        samples: int,
        seed: int,
        split: Split = "train",
        data: Data | None = None,
        selecting: bool = False,
    ):
        self.system = system
        self.metrics = metrics
        self.reference = Reference(system.dataset, samples, system.device, split, data, selecting)
        self.noise = self.draw_noise(samples, seed, split)
        self.conditions: dict[str, Mapping[str, Any]] = {}
        self.seconds: dict[str, float] = defaultdict(float)
        self.of_test: set[str] = set()

    def draw_noise(self, samples: int, seed: int, split: Split) -> Tensor:
        """Draw the latents of the samples, with conditions from the data of the split."""
        system, game = self.system, self.system.game
        if split == "train" or not isinstance(game, DrawsConditions):
            return system.noise(samples, seed)
        rng = torch.Generator().manual_seed(seed)
        return game.noise_like(system.networks, self.reference.split(split), samples, rng).to(system.device)

    def prepare(self) -> None:
        """Load what metrics need, such as feature networks, so that errors occur before training and not during it.

        Raises:
            ConfigError: there is less data than a metric needs.
        """
        data = self.reference.split(self.reference.chosen_split) if self.metrics else None
        if isinstance(data, Sized):
            check_samples(self.metrics, len(data), "the number of its data is")
        for metric in self.metrics.values():
            if isinstance(metric, Prepares):
                metric.prepare(self.reference)

    def measure(self) -> dict[str, float]:
        """Measure all metrics and return their values by name. Streaming metrics come last, to reuse samples in memory.

        Raises:
            ConfigError: a metric rejects its options or the number of samples.
        """
        results = Results(self.system, self.noise, self.reference)
        measured: dict[str, dict[str, float]] = {}
        for name, metric in sorted(self.metrics.items(), key=lambda item: is_streaming(item[1])):
            began = time.perf_counter()
            self.reference.seen.clear()
            try:
                with Activity(f"measuring {name}"):
                    measured[name] = metric(results)
            except ValueError as error:
                raise ConfigError(f"metric={name}: {error}") from error
            self.seconds[name] += time.perf_counter() - began
            if "test" in {*self.reference.seen, self.conditions_of(metric).get("split")}:
                self.of_test.update(measured[name])
        for name, values in measured.items():  # after all metrics, which together determine how much data is read
            self.conditions |= dict.fromkeys(values, self.conditions_of(self.metrics[name]))
        return {name: value for values in measured.values() for name, value in values.items()}

    def conditions_of(self, metric: Any) -> dict[str, Any]:
        """Return how a metric was measured."""
        samples, real = len(self.noise), self.reference.count
        base = {"samples": samples, "real": real, "split": self.reference.chosen_split}
        used = counts_of(metric, samples, samples if real is None else real)
        own = metric_conditions(metric, self.system.dataset.splits, self.reference.selecting)
        return {name: value for name, value in {**base, **own, **used}.items() if value is not None}


def counts_of(metric: Any, samples: int, real: int) -> Mapping[str, Any]:
    """Return the numbers that a metric uses of so many samples and real samples, if it says so."""
    declared = declaration(metric)
    if not isinstance(declared, HasCounts):
        return {}
    return declared.counts(
        {name: option.default for name, option in signature(metric).parameters.items()}, samples, real
    )


def is_streaming(metric: Any) -> bool:
    """Return whether a metric reads the samples chunk by chunk."""
    return isinstance(metric, Streams) and metric.streaming


def metric_conditions(metric: Any, splits: Sequence[Split], selecting: bool = False) -> dict[str, Any]:
    """Return the conditions that a metric declares for itself, for data with these splits.

    They may depend on `selecting`, whether the values select a checkpoint.
    """
    declared = declaration(metric)
    conditions = declared.conditions if isinstance(declared, HasConditions) else {}
    return {name: value(splits, selecting) if callable(value) else value for name, value in conditions.items()}


def check_samples(metrics: Metrics, samples: int, what: str) -> None:
    """Check that a number of samples is enough for every metric.

    Args:
        metrics: by name.
        samples: the number of samples, or of the data.
        what: what the error message says before it, such as `--samples is`.

    Raises:
        ConfigError: it is not. The message names the first metric that needs more.
    """
    for name, metric in metrics.items():
        declared = declaration(metric)
        least = declared.least_samples if isinstance(declared, NeedsSamples) else 1
        if samples < least:
            raise ConfigError(
                f"metric={name} needs at least {least} samples, but {what} {samples}; choose more samples, or smaller "
                f"options of metric.{name}"
            )


def check_own_splits(metrics: Mapping[str, Any], split: str | None, splits: Sequence[Split]) -> None:
    """Reject a requested split if a metric always measures on another split.

    Raises:
        ConfigError: names the metric and its split.
    """
    for name, metric in metrics.items():
        own = metric_conditions(metric, splits).get("split", split)
        if split is not None and own != split:
            raise ConfigError(f"metric={name} always measures on split {own}; leave out --split {split} or the metric")


def split_during_training(metric: Any, splits: Sequence[Split], split: Split) -> Split:
    """Return the split that a metric measures on during training, for data with these splits.

    Args:
        metric: the metric.
        splits: the splits of the dataset.
        split: the split of the evaluation, for metrics that do not choose their own.
    """
    if isinstance(metric, ChoosesSplit):
        return metric.measured_split(splits, selecting=True)
    return metric_conditions(metric, splits, selecting=True).get("split", split)


def check_split(dataset: Dataset, split: Split, option: str) -> None:
    """Raise ValueError if the dataset does not have the split; `option` is the key that chose it."""
    if split not in dataset.splits:
        raise ValueError(f"this dataset has no split {split}; set {option} to {' or '.join(dataset.splits)}")


def metric_names_by_option() -> dict[str, Collection[str]]:
    """Return the names of the values that each `metric=` option measures, if they do not depend on its arguments."""
    targets = {
        option: OmegaConf.load(CONF / "metric" / f"{option}.yaml").metric[option]._target_
        for option in options_in("metric")
    }
    directions = {option: directions_of(locate(target, ())) for option, target in targets.items()}
    return {option: names for option, names in directions.items() if isinstance(names, Mapping)}


def build_metrics(config: DictConfig, system: System) -> Metrics:
    """Build the configured metrics by name.

    Raises:
        ConfigError: a metric does not fit the system.
    """
    return build_checked("metric", config, system, "metric=")
