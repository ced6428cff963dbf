"""The options that determine the training result. Runs that share them differ at most in the seed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_runner.tools.secrets import redact

NON_TRAINING_KEYS = (
    *("seed", "seeds", "resume", "explain", "logger", "observer", "trusted"),
    *("metric", "extractor", "objective", "expected", "full_scale"),
)
"""Top-level options that do not change the training."""

RUNTIME_KEYS = (
    *("device", "compile", "channels_last", "deterministic"),
    *("log_every", "sample_every", "evaluate_every", "checkpoint_every"),
    *("root", "test_root", "download", "workers", "resident"),
)
"""Options of trainer and dataset that name the machine, the data folder, or how often something is observed."""


def training_options(config: DictConfig) -> dict[str, Any]:
    """The options that determine the training result, except the seed."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    for key in NON_TRAINING_KEYS:
        plain.pop(key, None)
    return plain | {part: without_runtime_keys(plain[part]) for part in ("trainer", "dataset") if part in plain}


def without_runtime_keys(options: Any) -> Any:
    """Options of trainer or dataset without `RUNTIME_KEYS`, also in nested options."""
    if not isinstance(options, dict):
        return options
    return {key: without_runtime_keys(value) for key, value in options.items() if key not in RUNTIME_KEYS}


def fingerprint(config: DictConfig) -> str:
    """Eight hex digits, equal for configurations with equal `training_options`."""
    return hashlib.sha256(json.dumps(redact(training_options(config)), sort_keys=True).encode()).hexdigest()[:8]
