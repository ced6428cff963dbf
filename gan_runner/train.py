"""The one entry point: a configuration → a trained run in its directory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_runner import distributed
from gan_runner.build import Parts, build_checked, build_parts, check_unused
from gan_runner.checkpoints import load_checkpoint
from gan_runner.compilation import compiled
from gan_runner.config import resolve, what_is_trained
from gan_runner.datasets import Classes, Dataset
from gan_runner.determinism import deterministic
from gan_runner.errors import ConfigError, Diverged, Stopped
from gan_runner.evaluation import build_metrics, check_figures
from gan_runner.files import RunDirectory, environment, write_json, yaml_of
from gan_runner.observers import Moment, Observer
from gan_runner.observers.checkpoints import Checkpoints
from gan_runner.precision import prepare_device
from gan_runner.run import Run
from gan_runner.secrecy import hidden, hide_record
from gan_runner.sweep import read_summary

log = logging.getLogger("gan_runner")


@dataclass(frozen=True)
class Job:
    """What to train, and where.

    Attributes:
        config: as composed, interpolations and all.
        directory: where the run writes.
        label: the chosen parts in words.
        overrides: the command line.
        multirun: whether it is one of many.
        resumed: whether the directory's run is to go on, perhaps with other options than it had.
    """

    config: DictConfig
    directory: RunDirectory
    label: str = "gan"
    overrides: Sequence[str] = ()
    multirun: bool = False
    resumed: bool = False


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Those that mean: save, and stop. A terminal that closes sends the third, schedulers one of the last two, some time
before they end a job."""


@dataclass
class StopSignals:
    """Remembers that one of `SIGNALS` came; a second one takes its usual effect at once. `nohup` is respected.

    Attributes:
        received: which.
        stepping: whether there is something to be saved first; before that it stops what is being done.
        begun: whether there was a checkpoint before that.
        process: whose they are; those that it forks, to read data, leave them to it.
    """

    received: int | None = None
    stepping: bool = False
    begun: bool = False
    process: int = field(default_factory=os.getpid)
    previous: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> StopSignals:
        for signum in SIGNALS:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # as nohup has it
                self.previous[signum] = signal.signal(signum, self.receive)
        return self

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """Note it.

        Raises:
            Stopped: there was nothing to be saved yet.
        """
        self.received = signum
        for number in self.previous:
            signal.signal(number, signal.SIG_DFL)
        if not self.stepping and os.getpid() == self.process:
            raise Stopped(signum, saved=self.begun)

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)


def train(job: Job) -> float | None:
    """Train until the configured step, or go on where the directory's own checkpoint left off.

    Returns:
        The best value of the objective, or None if nothing was measured.

    Raises:
        ConfigError: the configuration cannot work; nothing was touched.
        DataError: the data is missing or broken; nothing was written.
        CheckpointError: the directory's checkpoint does not fit.
        Diverged: a figure was not finite; what was good is saved.
        Stopped: a signal came; everything is saved, if there was a step to be.
    """
    deterministically = deterministic(job.config.trainer.get("deterministic", False))
    with StopSignals() as signals, ends_sweep(job, signals), Unwritten() as unwritten, deterministically:
        return attempts(job, signals, unwritten)


@contextmanager
def ends_sweep(job: Job, signals: StopSignals) -> Iterator[None]:
    """A signal means the whole sweep, however this job of it ended.

    Raises:
        Stopped: one came; what else was wrong is told before.
    """
    try:
        yield
    except Exception as error:
        if not job.multirun or signals.received is None:
            raise
        log.warning("%s", error)
    if job.multirun and signals.received is not None:
        raise Stopped(signals.received)


def attempts(job: Job, signals: StopSignals, unwritten: Unwritten) -> float | None:
    """Train; go back to the last checkpoint where that is wanted, so many times."""
    trainer = job.config.trainer
    rollbacks = 0
    while True:
        try:
            return attempt(job, rollbacks, signals, unwritten)
        except Diverged as error:
            if trainer.on_divergence == "stop":
                raise
            if signals.received is not None:
                raise Stopped(signals.received) from error
            if rollbacks == trainer.rollbacks:
                raise Diverged(f"{error}. It went back {rollbacks} times before") from error
            rollbacks += 1
            back = "%s. Back to the last checkpoint, with other batches (%d of %d)"
            log.warning(back, error, rollbacks, trainer.rollbacks)


def attempt(job: Job, rollbacks: int, signals: StopSignals, unwritten: Unwritten) -> float | None:
    """Train until the end, a signal or a divergence, after having gone back so many times."""
    signals.stepping, signals.begun = False, job.directory.begun
    run, observers = ready(job)
    if rollbacks:
        run.change_course(max(rollbacks, run.rollbacks + 1))
    if is_complete(run):
        return objective(run)
    distributed.present.check_alike(run.step, [p for player in run.parts.players for p in player.parameters])
    run.parts.play = compiled(run.config.trainer.compile, run.parts.play, run.parts.players, run.parts.device)
    if not distributed.present.leads:
        return carry_out(Course(run, [observer for observer in observers.values() if observer.everywhere]), signals)
    run.directory.clear(run.step, run.best_step)
    run.describe(list(job.overrides), goes_on=job.resumed or run.step > 0)
    with LogFile(run.directory, unwritten):
        return carry_out(Course(run, list(observers.values())), signals)


def ready(job: Job, step: int | None = None) -> tuple[Run, dict[str, Observer]]:
    """A run, initialised or loaded, and what is to look at it, by name.

    Args:
        job: what to train, and where.
        step: to go on from, if not from the last that was saved.
    """
    config = resolve(job.config)
    check_unused(job.config, job.overrides)
    parts = build_parts(config)
    for kept in (config, job.config):
        keep_classes(kept, parts.dataset)
    if config.trainer.on_divergence == "rollback" and distributed.present.size > 1:
        raise ConfigError("trainer.on_divergence=rollback is for one process; choose stop")
    prepare_device(parts.device, config.trainer.precision)
    metrics = build_metrics(config, parts)
    observers = build_observers(config, parts)
    check_figures(config, metrics, observers)
    with distributed.present.leader_first():
        data = parts.dataset.load(parts.device)
    run = Run(
        config=config,
        source=yaml_of(job.config),
        directory=job.directory,
        parts=parts,
        data=data,
        metrics=metrics,
        label=job.label,
        group=f"{job.label} {fingerprint(config)}",
        environment=environment(parts.device),
        multirun=job.multirun,
    )
    if run.directory.begun and step != 0:  # it holds what initialisation left
        path = run.directory.numbered(step) if step else run.directory.last
        run.load(path, with_other_options=job.resumed)
    else:
        parts.game.prepare(parts.networks, run.data, config.trainer.batch_size)
    return run, observers


def keep_classes(config: DictConfig, dataset: Dataset) -> None:
    """Classes that were found on the disk become part of the configuration: a checkpoint then needs no folder."""
    labels = getattr(dataset, "labels", None)
    if isinstance(labels, Classes) and config.dataset.get("classes", "unknown") is None:
        OmegaConf.update(config, "dataset.classes", list(labels.names))


def is_complete(run: Run) -> bool:
    """Whether there is nothing left to do, which is then said. A run killed in the end has still to write it down.

    Raises:
        ConfigError: it went farther than it is to go.
    """
    summary = read_summary(run.directory.summary) if run.directory.summary.exists() else {}
    done = run.step >= run.config.trainer.steps and summary.get("status") == "completed"
    if run.step > run.config.trainer.steps and not done:
        raise ConfigError(
            f"{run.directory.path} is at step {run.step}, beyond trainer.steps={run.config.trainer.steps}; choose more"
        )
    if done and distributed.present.leads:
        print(f"{run.directory.path} is complete at step {run.step}; trainer.steps=N with a larger N goes on")
    return done


class Course:
    """A run with its observers: started, looked at after its steps, and ended, which is written down.

    Args:
        run: about to take its next step.
        observers: in the order in which they look.
    """

    def __init__(self, run: Run, observers: Sequence[Observer]):
        self.run = run
        self.observers = observers
        self.started: list[Observer] = []
        self.first = run.step
        self.final = run.directory.figures()

    def start(self) -> None:
        """Before the first step; first those that write, so that they tell what the others do to get ready."""
        for observer in sorted(self.observers, key=lambda observer: not observer.writes):
            observer.start(self.run)
            self.started.append(observer)
        self.run.started = time.perf_counter()

    def see(self, report: Mapping[str, Tensor], last: bool, stopped_by: int | None) -> None:
        """A step is done.

        Raises:
            Diverged: a figure is not finite.
            Stopped: a signal came.
        """
        moment = Moment(self.run.step, report, last=last, stopping=stopped_by is not None)
        try:
            for observer in self.observers:
                observer(moment)
        except Exception:
            self.save_all_the_same(report, moment.diverged)
            raise
        self.final.update(moment.scalars)
        if moment.diverged:
            raise Diverged(
                f"step {self.run.step}: {', '.join(moment.diverged)} is not finite; the checkpoints hold what was "
                "before. Try a smaller optimizer.lr, or a gradient penalty"
            )
        if stopped_by is not None:
            raise Stopped(stopped_by)

    def save_all_the_same(self, report: Mapping[str, Tensor], diverged: Sequence[str] = ()) -> None:
        """An observer failed, and not the run: what follows the last checkpoint is kept, if that is possible."""
        moment = Moment(self.run.step, report, stopping=True, diverged=list(diverged))
        for observer in self.observers:
            if isinstance(observer, Checkpoints):
                with suppress(Exception):
                    observer(moment)

    def end_by(self, error: BaseException) -> None:
        """It ended by an error, beside which it matters less what else fails."""
        try:
            self.end(error)
        except Exception as another:
            log.warning("%s", another)

    def end(self, error: BaseException | None = None) -> None:
        """However it ended."""
        status, reason = "completed", ""
        if error is not None:
            status = {Stopped: "interrupted", Diverged: "diverged"}.get(type(error), "failed")
            reason = f"{type(error).__name__}: {error}"
            log.debug("".join(traceback.format_exception(error)))
        summary = self.run.summarise(status, self.final, self.run.step - self.first, reason)
        with ExitStack() as ending:  # from the last to the first, so that the console says what the others have to say
            if distributed.present.leads:
                ending.callback(write_json, self.run.directory.summary, summary)  # the very last: it tells of the rest
            for observer in self.started:
                ending.callback(observer.finish, summary)


def carry_out(course: Course, signals: StopSignals) -> float | None:
    """Step until the end, a signal, or a figure that is not finite."""
    run = course.run
    try:
        course.start()
        signals.stepping = True
        while run.step < run.config.trainer.steps:
            with distributed.present.sharded():
                report = run.parts.step(run.batches)
            run.step += 1
            last = run.step == run.config.trainer.steps
            stopped_by = None if last else distributed.present.largest(signals.received or 0) or None
            course.see(report, last, stopped_by)
    except BaseException as error:
        course.end_by(error)
        raise
    course.end()
    return objective(run)


def build_observers(config: DictConfig, parts: Parts) -> dict[str, Observer]:
    """What looks at the run, by name, in order: those that write come last.

    Raises:
        ConfigError: one does not go with what plays.
    """
    observers: dict[str, Observer] = build_checked("observer", config, parts, "observer.")
    return dict(sorted(observers.items(), key=lambda item: item[1].writes))


def objective(run: Run) -> float | None:
    """The best value of the objective so far."""
    best: Mapping[str, Any] = run.best.get(run.config.objective or "", {})
    return best.get("value")


def fingerprint(config: DictConfig) -> str:
    """Eight hex digits: the same for configurations that differ only in the seed, where they run, or what looks."""
    return hashlib.sha256(json.dumps(hidden(what_is_trained(config)), sort_keys=True).encode()).hexdigest()[:8]


def saved_config(directory: RunDirectory) -> tuple[DictConfig, str]:
    """The configuration of a run that is to go on, and its label.

    Raises:
        CheckpointError: if there is no checkpoint, or it cannot be read.
    """
    state = load_checkpoint(directory.last)
    return OmegaConf.create(state["config"]), state["label"]


class Unwritten(logging.Handler):
    """Warnings before there is a run to write them down: said on standard error, and kept for its `run.log`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> Unwritten:
        log.addFilter(hide_record)
        log.addHandler(self)
        return self

    def emit(self, record: logging.LogRecord) -> None:
        """Say and keep it."""
        self.records.append(record)
        print(record.getMessage(), file=sys.stderr)

    def __exit__(self, *exception: object) -> None:
        log.removeHandler(self)


class LogFile:
    """`run.log`: everything that the package logs, with tracebacks, without secrets.

    Args:
        directory: of the run.
        unwritten: what was said before, and does not listen meanwhile.
    """

    def __init__(self, directory: RunDirectory, unwritten: Unwritten | None = None):
        self.handler = logging.FileHandler(directory.log, encoding="utf-8")
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.unwritten = unwritten

    def __enter__(self) -> None:
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addFilter(hide_record)
        log.addHandler(self.handler)
        if self.unwritten is not None:
            log.removeHandler(self.unwritten)
            for record in self.unwritten.records:
                self.handler.handle(record)
            self.unwritten.records.clear()

    def __exit__(self, *exception: object) -> None:
        log.removeHandler(self.handler)
        self.handler.close()
        if self.unwritten is not None:
            log.addHandler(self.unwritten)
