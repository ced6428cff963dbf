"""Build the configured observers, and check that the metrics named in the configuration are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from gan_runner.build import build_checked
from gan_runner.config.suggestions import did_you_mean
from gan_runner.datasets.base import Dataset
from gan_runner.errors import ConfigError
from gan_runner.metrics.base import Better, directions_of
from gan_runner.metrics.evaluator import metric_names_by_option, split_during_training
from gan_runner.observers.base import Observer
from gan_runner.observers.evaluation import Evaluation
from gan_runner.system import System


def build_observers(config: DictConfig, system: System) -> dict[str, Observer]:
    """Build the observers by name, in the order of their calls: observers that write come last.

    Raises:
        ConfigError: an observer does not fit the system.
    """
    observers: dict[str, Observer] = build_checked("observer", config, system, "observer.")
    return dict(sorted(observers.items(), key=lambda item: item[1].writes))


def directions_by_name(metrics: Mapping[str, Any], observers: Mapping[str, Observer]) -> dict[str, Better]:
    """`min` or `max`, whichever is better, by the name of each value that is measured."""
    measured = [directions_of(metric) for metric in metrics.values()] + [each.measures for each in observers.values()]
    return {name: better for directions in measured for name, better in directions.items()}


def check_metrics(config: DictConfig, metrics: Mapping[str, Any], observers: Mapping[str, Observer]) -> None:
    """Check that the objective, expected metrics and metrics that observers read are measured, and can be.

    Raises:
        ConfigError: a metric cannot be measured, or is not. The message names it, and the option that measures it or a
            similar name.
    """
    for observer in observers.values():
        observer.check_metrics(metrics)
    measured = [name for metric in metrics.values() for name in directions_of(metric)]
    for observer_name, observer in observers.items():
        for name in [name for name in observer.reads if name not in measured]:
            options = metric_names_by_option()
            providers = [option for option, names in options.items() if name in names]
            advice = (
                f"; add {' or '.join(providers)} to metric=[…]"
                if providers
                else did_you_mean(name, [other for names in options.values() for other in names])
            )
            raise ConfigError(f"observer.{observer_name} needs {name}, which no metric measures{advice}")
    known = list(directions_by_name(metrics, observers))
    if known and config.objective is not None and config.objective not in known:
        raise ConfigError(f"no metric measures objective={config.objective}{did_you_mean(config.objective, known)}")
    if config.objective is None and config.logger.artifacts == "best":
        raise ConfigError(
            "logger.artifacts=best needs an objective, which defines the best checkpoint; set objective=METRIC, or "
            "choose logger.artifacts=last"
        )
    for name in map(str, config.expected):
        if name not in known and "/" not in name:  # names with a slash are reported by players
            raise ConfigError(f"no metric measures expected.{name}{did_you_mean(name, known)}")


def check_objective(
    objective: str | None, metrics: Mapping[str, Any], observers: Mapping[str, Observer], dataset: Dataset
) -> None:
    """Check that the objective does not depend on the test split.

    Raises:
        ConfigError: it does. The message names the metric, and how to have validation data.
    """
    chosen_by = {name: metric for name, metric in metrics.items() if objective in directions_of(metric)}
    for evaluation in [observer for observer in observers.values() if isinstance(observer, Evaluation)]:
        for name, metric in chosen_by.items():
            if split_during_training(metric, dataset.splits, evaluation.split) == "test":
                raise ConfigError(
                    f"objective={objective} would choose the best checkpoint by the test split, on which "
                    f"metric={name} measures here; set dataset.held_out=1000 and no split, so that it measures on "
                    "validation data, or objective=null"
                )
