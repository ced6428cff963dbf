"""The entry point `train`: it trains a configuration and writes the run to its directory."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from gan_runner.build import build_system
from gan_runner.compile import compiled
from gan_runner.config.compatibility import check_unused
from gan_runner.config.documents import yaml_of
from gan_runner.config.fingerprint import fingerprint
from gan_runner.config.resolve import resolve
from gan_runner.datasets.base import Dataset
from gan_runner.datasets.labels import Classes
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError, Diverged, Stopped, with_directory
from gan_runner.metrics.evaluator import build_metrics
from gan_runner.observers.base import Observer
from gan_runner.observers.build import build_observers, check_metrics, check_objective
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.divergence import check_weights, fetch
from gan_runner.runs.environment import environment
from gan_runner.runs.event import StepEvent
from gan_runner.runs.log import BufferedLog, LogFile
from gan_runner.runs.run import RandomNumbers, Run
from gan_runner.runs.saved import SavedRun
from gan_runner.runs.signals import StopSignals
from gan_runner.sheet import Sheet, sheet_of
from gan_runner.system import System
from gan_runner.tools.activity import Activity
from gan_runner.tools.determinism import deterministic
from gan_runner.tools.files import relative, write_json
from gan_runner.tools.memory import reset_peak_memory
from gan_runner.tools.precision import prepare_device

log = logging.getLogger("gan_runner")


Metric = Callable[..., dict[str, float]]
"""Results → values by name."""


@dataclass(frozen=True)
class Job:
    """What to train, and the directory to write to.

    Attributes:
        config: the composed configuration, with its interpolations unresolved.
        directory: the directory of the run.
        label: the chosen options in words.
        overrides: the overrides on the command line.
        multirun: whether this is one run of a sweep.
        resumed: whether to resume the run in the directory, perhaps with changed options.
        command: what was typed; empty for that of this process.
    """

    config: DictConfig
    directory: RunDirectory
    label: str = "gan"
    overrides: Sequence[str] = ()
    multirun: bool = False
    resumed: bool = False
    command: Sequence[str] = ()


def train(job: Job) -> float | None:
    """Train until the configured step, from the directory's own checkpoint if it has one.

    Returns:
        The best value of the objective, or None if nothing was measured.

    Raises:
        ConfigError: the configuration cannot work; nothing was written.
        DataError: the data is missing or broken; nothing was written.
        CheckpointError: the directory's checkpoint does not fit the configuration.
        Diverged: a loss, a gradient or a weight is not finite; the checkpoints hold finite weights.
        Stopped: a signal came; the run is saved, unless it made no step.
    """
    deterministically = deterministic(job.config.trainer.get("deterministic", False))
    with StopSignals() as signals, stopping_sweep(job, signals), BufferedLog() as buffered, deterministically:
        rollbacks = 0
        while True:
            try:
                return fit(job, rollbacks, signals, buffered)
            except Diverged as error:
                check_rollback(job, error, rollbacks, signals)
                rollbacks += 1


def fit(job: Job, rollbacks: int, signals: StopSignals, buffered: BufferedLog) -> float | None:
    """Train until the last step, a signal or divergence: set up, step, observe, stop."""
    signals.stepping, signals.has_checkpoint = False, job.directory.has_checkpoint
    reset_peak_memory()
    run, observers = setup(job)
    if rollbacks:
        run.reseed(max(rollbacks, run.rollbacks + 1))
    if is_complete(run):
        return run.best.value
    if processes.present.restarts and run.step == 0 and processes.present.is_main:
        log.warning("torchrun restarted the run before its first checkpoint, so it begins again at step 0")
    processes.present.check_same_start(run.step, [p for player in run.system.players for p in player.parameters])
    run.system.update_scheme = compiled(
        run.config.trainer.compile, run.system.update_scheme, run.system.players, run.system.device
    )
    first = Activity("the first training step")
    with prepared_directory(run, job, buffered), Trainer(run, observers).fitting() as trainer, first:
        signals.stepping = True
        while run.step < run.config.trainer.steps:
            event = run.advance(signals)
            first.end()
            trainer.observe(event)
            raise_if_diverged_or_stopped(run, event)
    return run.best.value


def raise_if_diverged_or_stopped(run: Run, event: StepEvent) -> None:
    """Raise after a step that must be the last one.

    Raises:
        Diverged: a loss, a gradient or a weight is not finite.
        Stopped: a signal came.
    """
    if event.non_finite:
        raise Diverged(event.step, event.non_finite, run.saved_step)
    if event.stop_signal is not None:
        raise Stopped(event.stop_signal)


def check_rollback(job: Job, error: Diverged, rollbacks: int, signals: StopSignals) -> None:
    """Log that a diverged run is rolled back to its last checkpoint.

    Args:
        job: what is trained.
        error: the divergence.
        rollbacks: how often the run was rolled back before.
        signals: the signals received.

    Raises:
        Diverged: rollbacks are off, or their number is used up.
        Stopped: a signal came.
    """
    trainer = job.config.trainer
    if trainer.on_divergence == "stop":
        raise error
    if signals.received is not None:
        raise Stopped(signals.received) from error
    if rollbacks == trainer.rollbacks:
        raise Diverged(error.step, error.names, error.saved_step, rollbacks) from error
    message = "%s; back to the last checkpoint, with the data in another order (rollback %d of %d)"
    log.warning(message, error.problem, rollbacks + 1, trainer.rollbacks)


@contextmanager
def stopping_sweep(job: Job, signals: StopSignals) -> Iterator[None]:
    """Context in which a signal ends the whole sweep, whatever else happens in this job.

    Raises:
        Stopped: a signal came; any other error of the job is logged.
    """
    try:
        yield
    except Exception as error:
        if not job.multirun or signals.received is None:
            raise
        log.warning("%s", error)
    if job.multirun and signals.received is not None:
        raise Stopped(signals.received)


def setup(job: Job, step: int | None = None) -> tuple[Run, dict[str, Observer]]:
    """Build or restore the run and its observers.

    Args:
        job: what to train, and the directory to write to.
        step: the saved step to resume from; 0 starts anew, None resumes from the last.
    """
    config, system, metrics, observers = build_all(job)
    sheet = sheet_of(config, system, job.label)
    with processes.present.main_first(), Activity("reading the data"):
        data = system.dataset.load(system.device)
    run = Run(
        config=config,
        source=yaml_of(job.config),
        directory=job.directory,
        system=system,
        data=data,
        metrics=metrics,
        sheet=sheet,
        label=job.label,
        group=f"{job.label} {fingerprint(config)}",
        environment=environment(system.device, job.command or sys.argv),
        multirun=job.multirun,
    )
    for observer in observers.values():
        if observer.saved_as:
            run.register(observer.saved_as, observer)
    run.register("random", RandomNumbers(system.device))  # last, since restoring the other parts may draw numbers
    if run.directory.has_checkpoint and step != 0:  # the checkpoint includes the data-dependent initialisation
        path = run.directory.numbered(step) if step else run.directory.last
        run.load(path, job.resumed, job.resumed and any(typed.startswith("dataset.") for typed in job.overrides))
    else:
        system.game.prepare(system.networks, run.data, config.trainer.batch_size)
    return run, observers


def explain(job: Job) -> Sheet:
    """Describe what a job would train; no data is read, and nothing is written.

    Raises:
        ConfigError: the configuration cannot work.
    """
    config, system, _, _ = build_all(job)
    return sheet_of(config, system, job.label)


def build_all(job: Job) -> tuple[DictConfig, System, Mapping[str, Metric], dict[str, Observer]]:
    """The resolved configuration, and what is built of it without data: the system, metrics and observers.

    Raises:
        ConfigError: the configuration cannot work.
    """
    config = resolve(job.config)
    check_unused(job.config, job.overrides)
    system = build_system(config)
    for target in (config, job.config):
        add_found(target, system.dataset)
    if config.trainer.on_divergence == "rollback" and processes.present.size > 1:
        raise ConfigError("trainer.on_divergence=rollback works with one process only; set it to stop")
    prepare_device(system.device, config.trainer.precision)
    metrics = build_metrics(config, system)
    observers = build_observers(config, system)
    check_metrics(config, metrics, observers)
    check_objective(config.objective, metrics, observers, system.dataset)
    return config, system, metrics, observers


def add_found(config: DictConfig, dataset: Dataset) -> None:
    """Write into the configuration what depends on the place and time of the first start.

    These are the classes found in a folder of images, so that a checkpoint needs no folder, and the absolute paths of
    relative folders, so that a resumed run reads the same ones.
    """
    for key in ("root", "test_root"):
        folder = config.dataset.get(key)
        if folder and not OmegaConf.is_interpolation(config.dataset, key) and not folder.startswith("~"):
            OmegaConf.update(config, f"dataset.{key}", os.path.abspath(folder))
    labels = dataset.labels
    if isinstance(labels, Classes) and config.dataset.get("classes", "unknown") is None:
        OmegaConf.update(config, "dataset.classes", list(labels.names))


def is_complete(run: Run) -> bool:
    """Whether all steps are done and the summary is written; if so, print it.

    Raises:
        ConfigError: the run has made more steps than configured.
    """
    done = run.step >= run.config.trainer.steps and SavedRun(run.directory.path).outcome["status"] == "completed"
    if run.step > run.config.trainer.steps and not done:
        raise ConfigError(
            f"{run.directory.path} is already at step {run.step}, beyond trainer.steps={run.config.trainer.steps}; "
            "choose more steps"
        )
    if done and processes.present.is_main:
        where = shlex.quote(f"resume={relative(run.directory.path)}")
        print(
            f"{relative(run.directory.path)} is complete at step {run.step}; train longer with: "
            f"gan-run {where} trainer.steps={2 * run.step}"
        )
    return done


@contextmanager
def prepared_directory(run: Run, job: Job, buffered: BufferedLog) -> Iterator[None]:
    """Context in which the main process has cleared its directory of later files and opened `run.log`."""
    if not processes.present.is_main:
        yield
        return
    prepare_directory(run, job)
    with LogFile(run.directory, buffered):
        yield


def prepare_directory(run: Run, job: Job) -> None:
    """Remove files written after the checkpoint; write those that describe the run."""
    run.directory.clear(run.step, run.best.step)
    run.describe(list(job.overrides), resumed=job.resumed or run.step > 0)


class Trainer:
    """A run with its observers.

    Args:
        run: the run, before its next step.
        observers: by name; processes other than the main one call only those for all ranks.
        log: makes the context in which observers are called; with several seeds, each has its own.
    """

    def __init__(
        self,
        run: Run,
        observers: Mapping[str, Observer],
        log: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        called = [each for each in observers.values() if processes.present.is_main or each.all_ranks]
        self.run = run
        self.measuring = [observer for observer in called if not observer.writes]
        self.writing = [observer for observer in called if observer.writes]
        self.log = log
        self.started: list[Observer] = []
        self.first_step = run.step
        self.final = run.directory.last_metrics()

    @contextmanager
    def fitting(self) -> Iterator[Trainer]:
        """Context of the training steps: start the observers before, and end the run after, also after an error."""
        try:
            self.start()
            yield self
        except BaseException as error:
            self.end_after(error)
            raise
        self.end()

    def start(self) -> None:
        """Start the observers; those that write come first, so that they show the messages of the others."""
        with self.log():
            for observer in [*self.writing, *self.measuring]:
                observer.start(self.run)
                self.started.append(observer)
        self.run.started = time.perf_counter()

    def wants(self, step: int) -> bool:
        """Whether to observe the step; with several seeds, not every step is observed."""
        every = self.run.config.trainer.log_every
        return (every > 0 and step % every == 0) or any(each.wants(step) for each in self.started)

    def observe(self, event: StepEvent) -> None:
        """Look for non-finite values, measure, record the metrics, write them."""
        with self.log():
            try:
                if event.due(self.run.config.trainer.log_every) or event.ends:
                    fetch(self.run.system, event)
                self.measure(event)
                self.run.record(event)
                for observer in self.writing:
                    observer(event)
            except Exception:
                self.rescue(event)
                raise
        self.final.update(event.scalars)

    def measure(self, event: StepEvent) -> None:
        """Call the observers that measure; if training has diverged, log their errors instead of raising them."""
        for observer in self.measuring:
            try:
                observer(event)
            except Exception as error:
                check_weights(self.run.system, event)
                if not event.non_finite:
                    raise
                log.debug("%s", error)

    def rescue(self, event: StepEvent) -> None:
        """Save the run if possible, after an observer has failed."""
        self.run.record(event)
        for observer in self.writing:
            with suppress(Exception):
                observer.rescue(event)

    def end_after(self, error: BaseException) -> None:
        """End the run after an error; log a second error that occurs meanwhile."""
        with self.log():
            log.debug("".join(traceback.format_exception(error)))
            status = {Stopped: "interrupted", Diverged: "diverged"}.get(type(error), "failed")
            try:
                line = f"{type(error).__name__}: {error}"
                self.finish(status, with_directory(line, relative(self.run.directory.path)))
            except Exception as another:
                log.warning("%s", another)

    def end(self) -> None:
        """End the run after its last step."""
        with self.log():
            self.finish("completed")

    def finish(self, status: str, reason: str = "") -> None:
        """Let the observers finish, the last started first; then write `summary.json`."""
        summary = self.run.summarise(status, self.final, self.run.step - self.first_step, reason)
        with ExitStack() as ending:
            if processes.present.is_main:
                ending.callback(write_json, self.run.directory.summary, summary)
            for observer in self.started:
                ending.callback(observer.finish, summary)
