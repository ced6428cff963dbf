"""The configuration of a trained run with the metrics that the command line of `gan-eval` chooses."""

from __future__ import annotations

import argparse

from omegaconf import DictConfig, OmegaConf

from gan_runner.config.compose import compose_config
from gan_runner.config.fingerprint import RUNTIME_KEYS
from gan_runner.config.sweeps import parse_overrides
from gan_runner.errors import ConfigError
from gan_runner.runs.saved import Checkpoint

METRIC_GROUPS = ("metric", "extractor")
"""Groups that may be chosen anew for a trained run. All other groups stay as in training."""

SPLIT_OPTIONS = ("split", "measured_on")
"""Options of metrics that name the split of the data they measure on."""


def evaluation_config(checkpoint: Checkpoint, options: argparse.Namespace) -> DictConfig:
    """The run's configuration with the metrics, the extractor and the options of the command line.

    Raises:
        ConfigError: an option would change what was trained.
    """
    config = checkpoint.config_anywhere(options.device, options.trust)
    parsed = parse_overrides(options.overrides)
    groups = [override for override in parsed if override.key_or_group in METRIC_GROUPS]
    composed = compose_config(str(override.input_line) for override in groups)
    for override in groups:
        config[override.key_or_group] = composed[override.key_or_group]
    OmegaConf.set_struct(config, True)
    for override in parsed:
        if override in groups:
            continue
        family, _, name = override.key_or_group.partition(".")
        mine = family in METRIC_GROUPS or (family == "dataset" and name in RUNTIME_KEYS)
        if not mine or override.is_add() or override.is_delete():
            raise ConfigError(
                f"{override.input_line} would change the trained run; choose only metric=[…], extractor=…, their "
                "options, and where the data is (dataset.root=…)"
            )
        OmegaConf.update(config, override.key_or_group, override.value())
    for metric in config.metric.values():
        for option in SPLIT_OPTIONS:
            if options.split is not None and option in metric:
                metric[option] = options.split
    config.objective, config.expected = None, {}
    return config
