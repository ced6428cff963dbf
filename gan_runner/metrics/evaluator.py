"""Measuring: all metrics on one set of samples, how long each took, and on what."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
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
from gan_runner.metrics.base import HasConditions, Prepares, Streams, directions_of
from gan_runner.metrics.results import Reference, Results
from gan_runner.requirements import declaration

if TYPE_CHECKING:
    from gan_runner.system import System


Metrics = Mapping[str, Callable[..., dict[str, float]]]
"""By name."""


class Evaluator:
    """Draws samples, of the same latents every time, and measures them.

    In a game with conditions they are made for those of the split that they are compared with.

    Args:
        system: what is trained.
        metrics: by name.
        samples: how many are drawn, and compared with as many of the data.
        seed: of the latents.
        split: of the data that they are compared with.
        data: this split, where it is at hand already.
        selecting: whether figures choose among checkpoints: errors are then those of validation data, if there is any.

    Attributes:
        conditions: by figure, on what it was measured: samples, real ones where any were read, their split, and what
            the metric says of itself.
        seconds: by metric, how long it took so far; generating what it is the first to ask for is part of it.
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

    def draw_noise(self, samples: int, seed: int, split: Split) -> Tensor:
        """What samples are made from; where these are for conditions, those of the data of the split."""
        system, game = self.system, self.system.game
        if split == "train" or not isinstance(game, DrawsConditions):
            return system.noise(samples, seed)
        rng = torch.Generator().manual_seed(seed)
        return game.noise_like(system.networks, self.reference.split(split), samples, rng).to(system.device)

    def prepare(self) -> None:
        """Make ready what metrics look through, so that what is wrong with it is said before a run and not in it."""
        for metric in self.metrics.values():
            if isinstance(metric, Prepares):
                metric.prepare(self.reference)

    def measure(self) -> dict[str, float]:
        """All figures, by name. Metrics that look at a piece at a time come last: it may all be at hand by then.

        Raises:
            ConfigError: a metric refuses its knobs, or so few samples.
        """
        results = Results(self.system, self.noise, self.reference)
        found: dict[str, dict[str, float]] = {}
        for name, metric in sorted(self.metrics.items(), key=lambda item: streams(item[1])):
            began = time.perf_counter()
            try:
                found[name] = metric(results)
            except ValueError as error:
                raise ConfigError(f"metric={name}: {error}") from error
            self.seconds[name] += time.perf_counter() - began
        for name, figures in found.items():  # now that all have read what they need, as they will have the next time
            self.conditions |= dict.fromkeys(figures, self.conditions_of(self.metrics[name]))
        return {figure: value for figures in found.values() for figure, value in figures.items()}

    def conditions_of(self, metric: Any) -> dict[str, Any]:
        """On what a metric measured."""
        read = {} if self.reference.count is None else {"real": self.reference.count}
        base: dict[str, Any] = {"samples": len(self.noise), **read, "split": self.reference.chosen_split}
        own = metric_conditions(metric, self.system.dataset.splits, self.reference.selecting)
        return {name: value for name, value in (base | own).items() if value is not None}


def streams(metric: Any) -> bool:
    """Whether a metric looks at a piece of the samples at a time."""
    return isinstance(metric, Streams) and metric.streaming


def metric_conditions(metric: Any, splits: Sequence[Split], selecting: bool = False) -> dict[str, Any]:
    """What a metric, with or without its knobs, says of on what it measures, of data that has these splits.

    It may be another where figures are `selecting` among checkpoints.
    """
    declared = declaration(metric)
    said = declared.conditions if isinstance(declared, HasConditions) else {}
    return {name: value(splits, selecting) if callable(value) else value for name, value in said.items()}


def check_own_splits(metrics: Mapping[str, Any], split: str | None, splits: Sequence[Split]) -> None:
    """Refuse a split that was asked for where a metric measures on another, whatever is asked for.

    Raises:
        ConfigError: naming the metric and its split.
    """
    for name, metric in metrics.items():
        own = metric_conditions(metric, splits).get("split", split)
        if split is not None and own != split:
            raise ConfigError(f"metric={name} measures on its own split ({own}); leave out --split {split}, or {name}")


def check_split(dataset: Dataset, split: Split, option: str) -> None:
    """Raise ValueError, naming the option that chose it, for a split that a dataset has not."""
    if split not in dataset.splits:
        raise ValueError(f"there is no {option}={split} of this dataset, which has {', '.join(dataset.splits)}")


def metric_names_by_option() -> dict[str, Collection[str]]:
    """What each `metric=` measures, of those whose figures are always the same."""
    targets = {
        option: OmegaConf.load(CONF / "metric" / f"{option}.yaml").metric[option]._target_
        for option in options_in("metric")
    }
    figures = {option: directions_of(locate(target, ())) for option, target in targets.items()}
    return {option: found for option, found in figures.items() if isinstance(found, Mapping)}


def build_metrics(config: DictConfig, system: System) -> Metrics:
    """The metrics by name.

    Raises:
        ConfigError: one does not go with the dataset.
    """
    return build_checked("metric", config, system, "metric=")
