"""A run: the trained system, its data, its progress, and how they are saved and restored."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from omegaconf import DictConfig, OmegaConf

from gan_runner.build import optimizer_of
from gan_runner.config.documents import yaml_of
from gan_runner.config.environment import read_variables
from gan_runner.config.expectations import Expectation, verdict
from gan_runner.datasets.base import Batches, Data, HasDigest, Split, derive_seed
from gan_runner.distributed import processes
from gan_runner.errors import CheckpointError, ConfigError
from gan_runner.games.base import training_data
from gan_runner.runs.best import BestValues
from gan_runner.runs.checkpoints import OWN_NAMES, load_checkpoint, random_state, save_checkpoint, set_random_state
from gan_runner.runs.directory import RunDirectory, step_of
from gan_runner.runs.environment import new_wandb_id
from gan_runner.runs.event import StepEvent
from gan_runner.runs.signals import StopSignals
from gan_runner.sampling.critic import identifies
from gan_runner.sheet import Sheet
from gan_runner.system import LOAD_ERRORS, System
from gan_runner.tools.files import write_json, write_text
from gan_runner.tools.memory import peak_memory_gb

log = logging.getLogger("gan_runner")


class Stateful(Protocol):
    """A part with state that checkpoints save, with the interface of torch's modules and optimizers."""

    def state_dict(self) -> dict[str, Any]:
        """The state: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore the state."""


@dataclass
class RandomNumbers:
    """The random number generators of a run, as a part with state.

    Args:
        device: the device whose generator is used, in addition to the CPU's.
    """

    device: torch.device

    def state_dict(self) -> dict[str, Any]:
        """The states of the generators."""
        return random_state(self.device)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the states of the generators.

        Raises:
            CheckpointError: the states are invalid.
        """
        try:
            set_random_state(state, self.device)
        except LOAD_ERRORS as error:
            raise CheckpointError(
                f"the checkpoint has no valid states of the random number generators ({error}); use another one"
            ) from error


@dataclass
class Run:
    """A run. Observers may read it.

    Attributes:
        config: the resolved configuration.
        source: the configuration before resolution, as YAML, for resuming.
        directory: the run's directory.
        system: the trained system.
        data: the training data.
        metrics: by name.
        sheet: the formulas of the trained method.
        label: the names of the chosen parts.
        group: the label and the fingerprint, equal for runs that differ only in the seed.
        environment: versions and device.
        multirun: whether the run is part of a sweep.
        step: training steps done.
        measured_on: the step at which each metric was measured last, and how.
        metric_seconds: seconds that each metric took since the run was started or resumed.
        rollbacks: how often the run went back to a checkpoint after it diverged. Each time changes the order of the
            data.
    """

    config: DictConfig
    source: str
    directory: RunDirectory
    system: System
    data: Data
    metrics: Mapping[str, Callable[..., dict[str, float]]]
    sheet: Sheet
    label: str
    group: str
    environment: dict[str, Any]
    multirun: bool = False
    step: int = 0
    measured_on: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    metric_seconds: Mapping[str, float] = field(default_factory=dict)
    rollbacks: int = 0
    wandb_id: str = field(default_factory=new_wandb_id)
    elapsed_before_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.batches = self.batches_from(0)
        self.splits: dict[Split, Data] = {"train": self.data}
        self.best = BestValues(self.config.objective)
        self.registered: dict[str, Stateful] = {}
        self.register("best", self.best)

    def register(self, name: str, part: Stateful) -> None:
        """Save the state of a part in checkpoints, under this name.

        Raises:
            ConfigError: the name is taken.
        """
        if name in {*OWN_NAMES, *self.registered}:
            raise ConfigError(f"two parts of a checkpoint would have the name {name}; choose another saved_as")
        self.registered[name] = part

    def split(self, split: Split) -> Data:
        """The data of a split, read on first use."""
        if split not in self.splits:
            self.splits[split] = self.system.dataset.load(self.system.device, split)
        return self.splits[split]

    def batches_from(self, drawn: int, seen: int | None = None) -> Batches:
        """The batches of this run from number `drawn` on, after `seen` samples; of each, the rows of this process."""
        size = self.config.trainer.batch_size
        seed = derive_seed(self.config.seed, self.rollbacks) if self.rollbacks else self.config.seed
        data = training_data(self.system.game, self.system.dataset, self.data)
        return Batches(data, size, seed, drawn, processes.present.rows(size), seen)

    def batches_after(self, state: Mapping[str, Any], saved_size: int) -> Batches:
        """The batches after those of a checkpoint, which had the saved size.

        With another size they begin at the next multiple of the new one, so no sample is seen twice in an epoch.
        """
        drawn, seen, size = state["drawn"], state.get("images_seen"), self.config.trainer.batch_size
        seen = drawn * saved_size if seen is None else seen
        position = drawn * saved_size
        return self.batches_from(drawn if size == saved_size else -(-position // size), seen)

    def reseed(self, rollbacks: int) -> None:
        """Change the order of the data and the random numbers, after this many rollbacks."""
        self.rollbacks = rollbacks
        self.batches = self.batches_from(self.batches.drawn, self.batches.seen)
        random.seed(derive_seed(self.config.seed, rollbacks))
        torch.manual_seed(derive_seed(self.config.seed, rollbacks))

    def advance(self, signals: StopSignals) -> StepEvent:
        """Take a training step. All processes agree on whether a signal stops them after it."""
        with processes.present.sharded():
            report = self.system.step(self.batches)
        self.step += 1
        last = self.step == self.config.trainer.steps
        signal = None if last else processes.present.all_reduce_max(signals.received or 0) or None
        return StepEvent(self.step, report, last, signal)

    def record(self, event: StepEvent) -> None:
        """Store the measurements of a step: best values, conditions, and durations."""
        for name, measurement in event.measurements.items():
            conditions = json.loads(json.dumps(measurement.conditions or {}))  # plain values, as in a checkpoint
            if measurement.better is not None:
                self.best.update(name, measurement.value, measurement.better, event.step, conditions)
            self.measured_on[name] = {"step": event.step, **conditions}
        if event.metric_seconds:
            self.metric_seconds = event.metric_seconds

    @property
    def expected(self) -> dict[str, Expectation]:
        """The expected values of the experiment, by metric."""
        return {str(name): Expectation(**options) for name, options in self.config.expected.items()}

    @property
    def identity(self) -> str:
        """A name of the configuration with its seed, by which a directory's checkpoint is recognised as this run's."""
        return f"{self.group} seed {self.config.seed}"

    @property
    def images_seen(self) -> int:
        """Real samples drawn so far."""
        return self.batches.seen

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, including the time before the run was resumed."""
        return self.elapsed_before_s + time.perf_counter() - self.started

    @property
    def saved_step(self) -> int | None:
        """The step of the last checkpoint in the directory, if there is one."""
        if self.directory.earlier:
            return step_of(self.directory.earlier[0])
        with suppress(CheckpointError):
            return load_checkpoint(self.directory.last)["step"]
        return None

    def state_dict(self) -> dict[str, Any]:
        """The run's own entries of a checkpoint: configuration, progress and system."""
        return {
            "config": self.source,
            "variables": read_variables(self.source),
            "label": self.label,
            "data": self.data_read,
            "identity": self.identity,
            "wandb_id": self.wandb_id,
            "step": self.step,
            "drawn": self.batches.drawn,
            "images_seen": self.images_seen,
            "rollbacks": self.rollbacks,
            "elapsed_s": self.elapsed_s,
            "measured_on": self.measured_on,
            "system": self.system.state_dict(),
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint: all that is needed to resume, or to sample without the data."""
        parts = {name: part.state_dict() for name, part in self.registered.items()}
        save_checkpoint(path, {**self.state_dict(), **parts})

    @cached_property
    def data_read(self) -> dict[str, Any] | None:
        """The number of training samples and a digest of them; None if they are generated."""
        return {"count": len(self.data), "digest": self.data.digest} if isinstance(self.data, HasDigest) else None

    def load(self, path: Path, with_other_options: bool = False, with_other_data: bool = False) -> None:
        """Restore a checkpoint: system, progress, batches, random numbers and best values.

        Args:
            path: of the checkpoint.
            with_other_options: whether the run may have been saved with other options.
            with_other_data: whether it may have been trained on other data; a warning says so.

        Raises:
            CheckpointError: it cannot be read, or it is from a run with other options or data.
        """
        state = load_checkpoint(path)
        if state["identity"] != self.identity and not with_other_options:
            raise CheckpointError(
                f"{self.directory.path} holds a run with another configuration; to continue that run, type "
                f"resume={self.directory.path}; to start a new one, choose another hydra.run.dir"
            )
        before = state.get("data")  # older checkpoints have none
        if before and before != self.data_read:
            self.report_other_data(before, with_other_data)
        saved = OmegaConf.create(state["config"])
        self.system.load_state_dict(state["system"], self.changed_options(saved) if with_other_options else {})
        self.step = state["step"]
        self.measured_on = state["measured_on"]
        self.wandb_id = state["wandb_id"]
        self.elapsed_before_s = state["elapsed_s"]
        self.started = time.perf_counter()
        self.rollbacks = state["rollbacks"]
        self.batches = self.batches_after(state, saved.trainer.batch_size)
        for name, part in self.registered.items():
            if name in state:
                part.load_state_dict(state[name])
        if saved.get("objective") != self.config.objective:
            self.best.values.pop(self.config.objective or "", None)  # best.pt was chosen by another objective

    def report_other_data(self, before: dict[str, Any], accepted: bool) -> None:
        """Log that the training data is not what it was.

        Raises:
            CheckpointError: that is not accepted.
        """
        now = self.data_read
        present = f"{now['count']:,} samples (digest {now['digest']})" if now else "generated"
        change = f"it was {before['count']:,} samples (digest {before['digest']}) and is {present}"
        if not accepted:
            raise CheckpointError(
                f"the data of {self.directory.path} has changed: {change}; restore it, or type resume= with "
                "dataset.root=FOLDER to go on with the data in that folder"
            )
        log.warning("the run goes on with other data: %s", change)

    def changed_options(self, saved: DictConfig) -> dict[str, set[str]]:
        """The options of each player's optimizer that differ from those that the run was saved with.

        Raises:
            CheckpointError: the optimizer itself is another one.
        """
        changed = {}
        for player in self.system.players:
            before, now = optimizer_of(saved, player.name), optimizer_of(self.config, player.name)
            changed[player.name] = {str(name) for name in now if now[name] != before.get(name)}
            if "_target_" in changed[player.name]:
                raise CheckpointError(
                    f"{self.directory.path} was trained by {before._target_}, whose state does not fit "
                    f"{now._target_}; start a new run without resume="
                )
        return changed

    def summarise(self, status: str, final: Mapping[str, float], steps_here: int, error: str = "") -> dict[str, Any]:
        """The content of `summary.json`.

        Args:
            status: completed, interrupted, diverged or failed.
            final: the last logged value of each key.
            steps_here: steps since the run was started or resumed, for `steps_per_second`.
            error: the error that ended the run before its last step.
        """
        seconds_here = time.perf_counter() - self.started
        return {
            "status": status,
            "label": self.label,
            "seed": self.config.seed,
            "step": self.step,
            "images_seen": self.images_seen,
            "rollbacks": self.rollbacks,
            "elapsed_s": self.elapsed_s,
            "steps_per_second": steps_here / seconds_here,
            "data_wait_fraction": self.batches.waited_s / seconds_here,
            "metric_time_fraction": {name: seconds / seconds_here for name, seconds in self.metric_seconds.items()},
            "parameters": {p.name: sum(w.numel() for w in p.parameters) for p in self.system.players},
            "peak_memory_gb": peak_memory_gb(self.system.device),
            "wandb_id": self.wandb_id,
            "objective": self.config.objective,
            "critic_estimates": identifies(self.system),
            "final": {key: value if math.isfinite(value) else None for key, value in final.items()},
            "best": self.best.values,
            "measured_on": self.measured_on,
            **verdict(self.expected, self.current(final), status == "completed"),
            **({"error": error} if error else {}),
        }

    def current(self, final: Mapping[str, float]) -> dict[str, float]:
        """The values logged last that belong to the present step: metrics measured at an earlier one are left out."""
        steps = {f"metric/{name}": conditions["step"] for name, conditions in self.measured_on.items()}
        return {key: value for key, value in final.items() if steps.get(key, self.step) == self.step}

    def describe(self, overrides: list[str], resumed: bool) -> None:
        """Write the files that describe the run. A resumed run appends to its overrides."""
        self.directory.path.mkdir(parents=True, exist_ok=True)
        about = {"group": self.group, "data": self.data_read, **self.environment}
        write_json(self.directory.environment, about)  # first, as it marks a run
        self.directory.link_latest()
        write_text(self.directory.config, yaml_of(self.config))
        write_text(self.directory.method, f"```\n{self.sheet}\n```\n")
        if resumed:
            overrides = [*self.directory.read_overrides(), *overrides]
        write_text(self.directory.overrides, yaml_of(list(dict.fromkeys(overrides))))
