"""The observers of a configuration, and whether the metrics that it names are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from gan_runner.build import build_checked
from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import ConfigError
from gan_runner.metrics.base import directions_of
from gan_runner.metrics.evaluator import metric_names_by_option
from gan_runner.observers.base import Observer
from gan_runner.system import System


def build_observers(config: DictConfig, system: System) -> dict[str, Observer]:
    """The observers by name, in the order in which they are called: those that write come last.

    Raises:
        ConfigError: one does not fit the system.
    """
    observers: dict[str, Observer] = build_checked("observer", config, system, "observer.")
    return dict(sorted(observers.items(), key=lambda item: item[1].writes))


def check_metric_names(config: DictConfig, metrics: Mapping[str, Any], observers: Mapping[str, Observer]) -> None:
    """Refuse names of metrics that are not measured.

    Raises:
        ConfigError: naming the metric, and which option measures it, or which name was meant.
    """
    measured = [name for metric in metrics.values() for name in directions_of(metric)]
    options = metric_names_by_option()
    for observer_name, observer in observers.items():
        for name in [name for name in observer.reads if name not in measured]:
            able = [option for option, names in options.items() if name in names]
            advice = (
                f"; add {' or '.join(able)} to metric=[…]"
                if able
                else did_you_mean(name, [other for names in options.values() for other in names])
            )
            raise ConfigError(f"observer.{observer_name} reads {name}, which is measured by no metric{advice}")
    known = [*measured, *(name for observer in observers.values() for name in observer.measures)]
    if known and config.objective is not None and config.objective not in known:
        raise ConfigError(
            f"objective={config.objective} is measured by no metric{did_you_mean(config.objective, known)}"
        )
    if config.objective is None and config.logger.artifacts == "best":
        raise ConfigError(
            "logger.artifacts=best: no checkpoint is the best without an objective; set objective=FIGURE, or choose "
            "logger.artifacts=last"
        )
    for name in map(str, config.expected):
        if name not in known and "/" not in name:  # a name with a slash is one that a player reports
            raise ConfigError(f"expected.{name} is measured by no metric{did_you_mean(name, known)}")
