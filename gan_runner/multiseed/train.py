"""Train several seeds of one configuration together in one process: `seeds=8`."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from omegaconf import DictConfig, ListConfig
from torch import Tensor

from gan_runner.build import build_system
from gan_runner.compile import compiled_graph
from gan_runner.config.resolve import resolve
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError, Diverged, Stopped
from gan_runner.multiseed.stack import Stack
from gan_runner.observers.base import Observer
from gan_runner.runs.checkpoints import random_state
from gan_runner.runs.directory import RunDirectory, check_own, mark_own, step_of
from gan_runner.runs.event import StepEvent
from gan_runner.runs.lock import locked
from gan_runner.runs.log import LogFile
from gan_runner.runs.run import Run
from gan_runner.runs.saved import runs_in
from gan_runner.runs.signals import StopSignals
from gan_runner.runs.sweep import report
from gan_runner.tools.activity import Activity
from gan_runner.tools.determinism import deterministic
from gan_runner.tools.files import relative, remove_partial
from gan_runner.train import (
    Job,
    Trainer,
    is_complete,
    prepare_directory,
    raise_if_diverged_or_stopped,
    setup,
    stopping_sweep,
)


def train_together(job: Job) -> float | None:
    """Train one run per seed, each in its own directory, as `gan_runner.train.train` would train them one by one.

    A seed that diverges ends, and the others continue. At the end the table of a sweep is printed.

    Returns:
        The mean of the objective's best values over the seeds that completed, or None.

    Raises:
        ConfigError: the game cannot be trained in this way.
        Diverged: a seed diverged; the others are complete.
        Stopped: a signal came; everything is saved, unless no step was taken.
    """
    jobs = jobs_of(job)
    deterministically = deterministic(job.config.trainer.get("deterministic", False))
    with StopSignals() as signals, stopping_sweep(job, signals), deterministically, ExitStack() as held:
        signals.has_checkpoint = any(one.directory.has_checkpoint for one in jobs)
        for one in jobs:
            check_own(one.directory.path, "hydra.run.dir")
            held.callback(one.directory.remove_if_empty)
            held.enter_context(locked(one.directory.path))
        return fit_all(job, jobs, signals)


def fit_all(job: Job, jobs: Sequence[Job], signals: StopSignals) -> float | None:
    """Train the jobs of all seeds, whose directories are locked."""
    runs, observers, randomness = set_up_all(jobs)
    if len({run.step for run in runs}) > 1:
        runs, observers, randomness = set_up_all(jobs, common_step(job.directory, [run.directory for run in runs]))
    complete = [is_complete(run) for run in runs]
    if all(complete):
        return mean_objective(runs)
    stack = stacked(jobs[0].config, runs, randomness)
    mark_own(job.directory.path)
    remove_partial(job.directory.path)
    for run, one in zip(runs, jobs):
        prepare_directory(run, one)
    job.directory.link_latest()
    for run in runs:
        print(f"seed {run.config.seed}: {relative(run.directory.path)}")
    for others in observers[1:]:  # only the first seed prints
        others.pop("console", None)
    trainers = [Trainer(run, own, partial(LogFile, run.directory)) for run, own in zip(runs, observers)]
    failure = fit_together(stack, trainers, signals)
    report(job.directory.path, runs_in(job.directory.path))
    if failure is not None:
        raise failure
    return mean_objective(runs)


def set_up_all(
    jobs: Sequence[Job], step: int | None = None
) -> tuple[list[Run], list[dict[str, Observer]], list[dict[str, Any]]]:
    """Build or restore the runs, their observers and random states, at the last saved step or at `step`."""
    runs, observers, randomness = [], [], []
    for job in jobs:
        run, own = setup(job, step)
        runs.append(run)
        observers.append(own)
        randomness.append(random_state(run.system.device))
    return runs, observers, randomness


def common_step(directory: RunDirectory, seeds: Sequence[RunDirectory]) -> int:
    """The last step at which all seeds were saved. A kill between two saves leaves them at different steps.

    Raises:
        ConfigError: there is no common step.
    """
    saved = [{step_of(path) for path in seed.earlier} for seed in seeds]
    for steps, seed in zip(saved, seeds):
        if len(steps) == 1 or not seed.has_checkpoint:  # before the first checkpoint, a seed starts at step 0
            steps.add(0)
    common = set.intersection(*saved)
    if not common:
        raise ConfigError(
            f"the seeds in {directory.path} have no checkpoint of a common step; resume each by itself, first "
            f"resume={directory.path / '0'}"
        )
    return max(common)


def jobs_of(job: Job) -> list[Job]:
    """One job for each seed.

    Raises:
        ConfigError: `seeds` is invalid, or another option works with one seed only.
    """
    seeds = seeds_of(job.config)
    if processes.present.size > 1:
        raise ConfigError(
            "seeds= trains several runs in one process, but torchrun starts several processes; leave out one of them"
        )
    if job.config.trainer.compile == "iteration":
        raise ConfigError("trainer.compile=iteration does not work with seeds=; choose trainer.compile=true")
    if job.config.trainer.on_divergence == "rollback":
        raise ConfigError("trainer.on_divergence=rollback does not work with seeds=; choose stop")
    if job.config.trainer.precision == "fp16":
        raise ConfigError("trainer.precision=fp16 does not work with seeds=, whose loss scales differ; choose bf16")
    typed = [override for override in job.overrides if not override.startswith(("seed=", "seeds="))]
    jobs = []
    for number, seed in enumerate(seeds):
        config = copy.deepcopy(job.config)
        config.seed, config.seeds = seed, None
        config.trainer.channels_last = False  # tracing depends on the memory layout, which stacking changes
        directory = RunDirectory(job.directory.path / str(number))
        overrides = [*typed, f"seed={seed}"]
        jobs.append(replace(job, config=config, directory=directory, overrides=overrides, multirun=True))
    return jobs


def seeds_of(config: DictConfig) -> list[int]:
    """The list of seeds: `seeds` many from `seed` on, or the listed ones.

    Raises:
        ConfigError: `seeds` is neither a positive number nor a list of different integers.
    """
    seeds: Any = config.seeds
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
        return list(range(config.seed, config.seed + seeds))
    listed = list(seeds) if isinstance(seeds, ListConfig) else []
    if not listed or not all(type(seed) is int for seed in listed) or len(set(listed)) < len(listed):
        raise ConfigError(f"seeds={seeds} must be a number of seeds, such as 8, or a list such as [0,1,2]")
    return listed


def stacked(config: DictConfig, runs: Sequence[Run], randomness: Sequence[dict[str, Any]]) -> Stack:
    """The runs as one stack, compiled if the configuration says so."""
    joint = build_system(resolve(config))
    make = partial(compiled_graph, runs[0].config.trainer.compile, device=joint.device)
    example = next(runs[0].batches_from(0))
    return Stack([run.system for run in runs], joint, randomness, example, make)


def fit_together(stack: Stack, trainers: Sequence[Trainer], signals: StopSignals) -> Diverged | Stopped | None:
    """Train all seeds until the last step or a signal; return the first error that ended one of them."""
    runs = [trainer.run for trainer in trainers]
    steps = runs[0].config.trainer.steps
    active = dict(enumerate(trainers))
    failure: Diverged | Stopped | None = None
    try:
        for trainer in trainers:
            trainer.start()
        signals.stepping = True
        first: AbstractContextManager[Any] = Activity("the first training step")
        while active and runs[0].step < steps:
            with first:
                reports = stack.step([run.batches for run in runs])
            first = nullcontext()
            for run in runs:
                run.step += 1
            last = runs[0].step == steps
            stop_signal = None if last else signals.received
            if last or stop_signal is not None or trainers[0].wants(runs[0].step):
                stack.scatter_state()
                ended = observe_all(stack, active, reports, last, stop_signal)
                failure = ended if failure is None or isinstance(ended, Stopped) else failure
    except BaseException as error:
        for trainer in active.values():
            trainer.end_after(error)
        raise
    with ExitStack() as ending:  # end all, even if one raises
        for trainer in active.values():
            ending.callback(trainer.end)
    return failure


def observe_all(
    stack: Stack, active: dict[int, Trainer], reports: Mapping[str, Tensor], last: bool, stop_signal: int | None
) -> Diverged | Stopped | None:
    """Observe a step of every active seed, and remove those that end; return the last error that ended one."""
    ended: Diverged | Stopped | None = None
    step = next(iter(active.values())).run.step
    events = {
        seed: StepEvent(step, {name: value[seed] for name, value in reports.items()}, last, stop_signal)
        for seed in active
    }
    for seed, trainer in list(active.items()):
        try:
            with stack.randomness_of(seed):
                trainer.observe(events[seed])
            raise_if_diverged_or_stopped(trainer.run, events[seed])
        except (Diverged, Stopped) as error:
            active.pop(seed).end_after(error)
            ended = error
        except Exception:  # all seeds must be saved at the same step
            for other in active:
                with stack.randomness_of(other):
                    active[other].rescue(events[other])
            raise
    return ended


def mean_objective(runs: Sequence[Run]) -> float | None:
    """The mean of the objective's best values over the runs that have one; None without any."""
    values = [run.best.value for run in runs if run.best.value is not None]
    return statistics.fmean(values) if values else None
