"""A run: what plays, on which data, how far it is, and how it is saved."""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_runner.build import optimizer_of
from gan_runner.config.documents import yaml_of
from gan_runner.config.expectations import Expectation, verdict
from gan_runner.datasets.base import Batches, Data, Split, mix
from gan_runner.distributed import processes
from gan_runner.errors import CheckpointError
from gan_runner.games.base import training_data
from gan_runner.runs.checkpoints import load_checkpoint, random_state, save_checkpoint, set_random_state
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.environment import new_wandb_id
from gan_runner.sampling.critic import identifies
from gan_runner.system import MISFIT, System
from gan_runner.tools.files import write_json, write_text


@dataclass
class Run:
    """Everything that observers may look at.

    Attributes:
        config: resolved.
        source: the same before resolution, as YAML, for a run that goes on later.
        directory: where it writes.
        system: what is trained.
        data: what is real.
        metrics: by name.
        label: its parts in words.
        group: the same for runs that differ in the seed alone.
        environment: what it runs on.
        multirun: whether it is one of many.
        step: steps done.
        best: of each figure the best value so far, its step, and whether `min` or `max` is better.
        objective_step: when the objective was best.
        measured_on: by figure, the conditions under which it was measured.
        metric_seconds: by metric, how long it took since this start.
        rollbacks: how often it went back from a divergence; each time the order of the data is another.
        kept: what checkpoints hold beside what is trained, by name: tensors and plain values, made when one is saved.
    """

    config: DictConfig
    source: str
    directory: RunDirectory
    system: System
    data: Data
    metrics: Mapping[str, Callable[..., dict[str, float]]]
    label: str
    group: str
    environment: dict[str, Any]
    multirun: bool = False
    step: int = 0
    best: dict[str, dict[str, Any]] = field(default_factory=dict)
    objective_step: int = -1
    measured_on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metric_seconds: Mapping[str, float] = field(default_factory=dict)
    rollbacks: int = 0
    kept: dict[str, Callable[[], Any]] = field(default_factory=dict)
    wandb_id: str = field(default_factory=new_wandb_id)
    elapsed_before_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.batches = self.batches_from(0)
        self.splits: dict[Split, Data] = {"train": self.data}

    def split(self, split: Split) -> Data:
        """The data of a split, read when it is first asked for."""
        if split not in self.splits:
            self.splits[split] = self.system.dataset.load(self.system.device, split)
        return self.splits[split]

    def batches_from(self, drawn: int) -> Batches:
        """The data in this run's order; of each batch, this process's rows."""
        size = self.config.trainer.batch_size
        seed = mix(self.config.seed, self.rollbacks) if self.rollbacks else self.config.seed
        data = training_data(self.system.game, self.system.dataset, self.data)
        return Batches(data, size, seed, drawn, processes.present.rows(size))

    def change_course(self, rollbacks: int) -> None:
        """Go on with other batches and other random numbers than the time before."""
        self.rollbacks = rollbacks
        self.batches = self.batches_from(self.batches.drawn)
        random.seed(mix(self.config.seed, rollbacks))
        torch.manual_seed(mix(self.config.seed, rollbacks))

    @property
    def expected(self) -> dict[str, Expectation]:
        """What the experiment promises, by figure."""
        return {str(name): Expectation(**options) for name, options in self.config.expected.items()}

    @property
    def identity(self) -> str:
        """The same for two starts of one run."""
        return f"{self.group} seed {self.config.seed}"

    @property
    def images_seen(self) -> int:
        """Real samples drawn so far."""
        return self.batches.drawn * self.batches.size

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, over all starts."""
        return self.elapsed_before_s + time.perf_counter() - self.started

    def keep_best(self, name: str, value: float, better: Callable[[float, float], float], step: int) -> None:
        """Remember a figure if it is the best so far; what is not finite is not."""
        if not math.isfinite(value):
            return
        if name in self.best and better(value, self.best[name]["value"]) == self.best[name]["value"]:
            return
        self.best[name] = {"value": value, "step": step, "better": better.__name__}
        if name == self.config.objective:
            self.objective_step = step

    @property
    def best_step(self) -> int | None:
        """The step at which the objective was best so far, if it was measured."""
        return self.best.get(self.config.objective or "", {}).get("step")

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on, or to sample without the data."""
        state = {
            "config": self.source,
            "step": self.step,
            "drawn": self.batches.drawn,
            "rollbacks": self.rollbacks,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
            "measured_on": json.loads(json.dumps(dict(self.measured_on))),  # plain, as the summary has it
            "label": self.label,
            "identity": self.identity,
            "wandb_id": self.wandb_id,
            "random": random_state(self.system.device),
            "system": self.system.state_dict(),
            **{name: make() for name, make in self.kept.items()},
        }
        save_checkpoint(path, state)

    def load(self, path: Path, with_other_options: bool = False) -> None:
        """Go on from a checkpoint: the same batches, random numbers, optimizers and figures.

        Raises:
            CheckpointError: it cannot be read, or it is from a run with other options.
        """
        state = load_checkpoint(path)
        if state["identity"] != self.identity and not with_other_options:
            raise CheckpointError(
                f"{self.directory.path} holds a run with another configuration; "
                f"resume={self.directory.path} goes on with that one, another hydra.run.dir starts afresh"
            )
        changed = self.changed_options(OmegaConf.create(state["config"])) if with_other_options else {}
        self.system.load_state_dict(state["system"], changed)
        self.step = state["step"]
        self.best = state["best"]
        if OmegaConf.create(state["config"]).get("objective") != self.config.objective:
            self.best.pop(self.config.objective or "", None)  # best.pt is not the best by that
        self.wandb_id = state["wandb_id"]
        self.elapsed_before_s = state["elapsed_s"]
        self.started = time.perf_counter()
        self.rollbacks = state["rollbacks"]
        self.measured_on = state["measured_on"]
        self.batches = self.batches_from(state["drawn"])
        try:
            set_random_state(state["random"], self.system.device)
        except MISFIT as error:
            raise CheckpointError(f"{path} holds no random numbers to go on with ({error})") from error

    def changed_options(self, saved: DictConfig) -> dict[str, set[str]]:
        """Which options of the players' optimizers are not those that the run was saved with.

        Raises:
            CheckpointError: one is another optimizer.
        """
        changed = {}
        for player in self.system.players:
            before, now = optimizer_of(saved, player.name), optimizer_of(self.config, player.name)
            changed[player.name] = {str(name) for name in now if now[name] != before.get(name)}
            if "_target_" in changed[player.name]:
                raise CheckpointError(
                    f"{self.directory.path} was trained by {before._target_}, whose memory is of no use to "
                    f"{now._target_}; start a new run without resume"
                )
        return changed

    def diverged_networks(self) -> list[str]:
        """Names of the networks that hold a weight that is not finite; this waits for the device."""
        networks = self.system.networks.items()
        return [name for name, n in networks if not all(bool(p.isfinite().all()) for p in n.parameters())]

    def summarise(self, status: str, final: Mapping[str, float], steps_here: int, error: str = "") -> dict[str, Any]:
        """What the run came to, as `summary.json` has it.

        Args:
            status: completed, interrupted, diverged or failed.
            final: the figures last logged.
            steps_here: steps taken since this start, for the rate.
            error: what ended it before its time.
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
            "data_wait_share": self.batches.waited_s / seconds_here,
            "metric_share": {name: seconds / seconds_here for name, seconds in self.metric_seconds.items()},
            "parameters": {p.name: sum(w.numel() for w in p.parameters) for p in self.system.players},
            "peak_memory_gb": peak_memory_gb(self.system.device),
            "wandb_id": self.wandb_id,
            "objective": self.config.objective,
            "identifies": identifies(self.system),
            "final": {key: value if math.isfinite(value) else None for key, value in final.items()},
            "best": self.best,
            "measured_on": dict(self.measured_on),
            **verdict(self.expected, final, status == "completed"),
            **({"error": error} if error else {}),
        }

    def describe(self, overrides: list[str], goes_on: bool) -> None:
        """Write the files by which the run describes itself; one that goes on was begun with other overrides."""
        self.directory.path.mkdir(parents=True, exist_ok=True)
        write_text(self.directory.config, yaml_of(self.config))
        if goes_on:  # what was typed first, then what was added
            overrides = [*self.directory.read_overrides(), *overrides]
        write_text(self.directory.overrides, yaml_of(list(dict.fromkeys(overrides))))
        write_json(self.directory.environment, {"group": self.group, **self.environment})


def peak_memory_gb(device: torch.device) -> float:
    """Most memory held so far, in 10⁹ bytes: on the GPU, or by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
