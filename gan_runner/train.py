"""The one entry point: a configuration → a trained run in its directory."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_runner.build import build_checked, build_system
from gan_runner.compile import compiled
from gan_runner.config.compatibility import check_unused
from gan_runner.config.documents import yaml_of
from gan_runner.config.fingerprint import fingerprint
from gan_runner.config.resolve import resolve
from gan_runner.config.suggestions import did_you_mean
from gan_runner.datasets.base import Dataset
from gan_runner.datasets.labels import Classes
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError, Diverged, Stopped
from gan_runner.metrics.evaluator import build_metrics, figures_of_metrics
from gan_runner.metrics.figures import best_of
from gan_runner.observers.base import Observer, StepEvent
from gan_runner.observers.checkpoints import Checkpoints
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.environment import environment
from gan_runner.runs.log import BufferedWarnings, LogFile
from gan_runner.runs.run import Run
from gan_runner.runs.saved import SavedRun
from gan_runner.runs.signals import StopSignals
from gan_runner.system import System
from gan_runner.tools.determinism import deterministic
from gan_runner.tools.files import write_json
from gan_runner.tools.precision import prepare_device

if TYPE_CHECKING:
    from gan_runner.observers.base import Observer


def check_figures(config: DictConfig, metrics: Mapping[str, Any], observers: Mapping[str, Observer]) -> None:
    """Refuse names of figures that nothing measures.

    Raises:
        ConfigError: naming the figure, and what might be meant, or which metric measures it.
    """
    measured = [figure for metric in metrics.values() for figure in best_of(metric)]
    for name, observer in observers.items():
        for figure in [figure for figure in observer.reads if figure not in measured]:
            able = [metric for metric, figures in figures_of_metrics().items() if figure in figures]
            advice = (
                f"; add {' or '.join(able)} to metric=[…]"
                if able
                else did_you_mean(figure, [f for figures in figures_of_metrics().values() for f in figures])
            )
            raise ConfigError(f"observer.{name} reads {figure}, which is measured by no metric{advice}")
    known = [*measured, *(figure for observer in observers.values() for figure in observer.figures)]
    if known and config.objective is not None and config.objective not in known:
        raise ConfigError(
            f"objective={config.objective} is measured by no metric{did_you_mean(config.objective, known)}"
        )
    if config.objective is None and config.logger.artifacts == "best":
        raise ConfigError(
            "logger.artifacts=best: no checkpoint is the best without an objective; set objective=FIGURE, or choose "
            "logger.artifacts=last"
        )
    for figure in map(str, config.expected):
        if figure not in known and "/" not in figure:  # a name with a slash is one that a player reports
            raise ConfigError(f"expected.{figure} is measured by no metric{did_you_mean(figure, known)}")


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
    with StopSignals() as signals, ends_sweep(job, signals), BufferedWarnings() as buffered, deterministically:
        return attempts(job, signals, buffered)


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


def attempts(job: Job, signals: StopSignals, buffered: BufferedWarnings) -> float | None:
    """Train; go back to the last checkpoint where that is wanted, so many times."""
    trainer = job.config.trainer
    rollbacks = 0
    while True:
        try:
            return attempt(job, rollbacks, signals, buffered)
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


def attempt(job: Job, rollbacks: int, signals: StopSignals, buffered: BufferedWarnings) -> float | None:
    """Train until the end, a signal or a divergence, after having gone back so many times."""
    signals.stepping, signals.has_checkpoint = False, job.directory.has_checkpoint
    run, observers = ready(job)
    if rollbacks:
        run.change_course(max(rollbacks, run.rollbacks + 1))
    if is_complete(run):
        return objective(run)
    processes.present.check_same_start(run.step, [p for player in run.system.players for p in player.parameters])
    run.system.play = compiled(run.config.trainer.compile, run.system.play, run.system.players, run.system.device)
    if not processes.present.is_main:
        return carry_out(Course(run, [observer for observer in observers.values() if observer.all_ranks]), signals)
    run.directory.clear(run.step, run.best_step)
    run.describe(list(job.overrides), goes_on=job.resumed or run.step > 0)
    with LogFile(run.directory, buffered):
        return carry_out(Course(run, list(observers.values())), signals)


def ready(job: Job, step: int | None = None) -> tuple[Run, dict[str, Observer]]:
    """A run, initialised or loaded, and what is to look at it, by name.

    Args:
        job: what to train, and where.
        step: to go on from, if not from the last that was saved.
    """
    config = resolve(job.config)
    check_unused(job.config, job.overrides)
    system = build_system(config)
    for kept in (config, job.config):
        keep_classes(kept, system.dataset)
    if config.trainer.on_divergence == "rollback" and processes.present.size > 1:
        raise ConfigError("trainer.on_divergence=rollback is for one process; choose stop")
    prepare_device(system.device, config.trainer.precision)
    metrics = build_metrics(config, system)
    observers = build_observers(config, system)
    check_figures(config, metrics, observers)
    with processes.present.main_first():
        data = system.dataset.load(system.device)
    run = Run(
        config=config,
        source=yaml_of(job.config),
        directory=job.directory,
        system=system,
        data=data,
        metrics=metrics,
        label=job.label,
        group=f"{job.label} {fingerprint(config)}",
        environment=environment(system.device),
        multirun=job.multirun,
    )
    if run.directory.has_checkpoint and step != 0:  # it holds what initialisation left
        path = run.directory.numbered(step) if step else run.directory.last
        run.load(path, with_other_options=job.resumed)
    else:
        system.game.prepare(system.networks, run.data, config.trainer.batch_size)
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
    done = run.step >= run.config.trainer.steps and SavedRun(run.directory.path).outcome["status"] == "completed"
    if run.step > run.config.trainer.steps and not done:
        raise ConfigError(
            f"{run.directory.path} is at step {run.step}, beyond trainer.steps={run.config.trainer.steps}; choose more"
        )
    if done and processes.present.is_main:
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
        self.final = run.directory.last_metrics()

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
        event = StepEvent(self.run.step, report, last=last, stopping=stopped_by is not None)
        try:
            for observer in self.observers:
                observer(event)
        except Exception:
            self.save_all_the_same(report, event.diverged)
            raise
        self.final.update(event.scalars)
        if event.diverged:
            raise Diverged(
                f"step {self.run.step}: {', '.join(event.diverged)} is not finite; the checkpoints hold what was "
                "before. Try a smaller optimizer.lr, or a gradient penalty"
            )
        if stopped_by is not None:
            raise Stopped(stopped_by)

    def save_all_the_same(self, report: Mapping[str, Tensor], diverged: Sequence[str] = ()) -> None:
        """An observer failed, and not the run: what follows the last checkpoint is kept, if that is possible."""
        event = StepEvent(self.run.step, report, stopping=True, diverged=list(diverged))
        for observer in self.observers:
            if isinstance(observer, Checkpoints):
                with suppress(Exception):
                    observer(event)

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
            if processes.present.is_main:
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
            with processes.present.sharded():
                report = run.system.step(run.batches)
            run.step += 1
            last = run.step == run.config.trainer.steps
            stopped_by = None if last else processes.present.all_reduce_max(signals.received or 0) or None
            course.see(report, last, stopped_by)
    except BaseException as error:
        course.end_by(error)
        raise
    course.end()
    return objective(run)


def build_observers(config: DictConfig, system: System) -> dict[str, Observer]:
    """What looks at the run, by name, in order: those that write come last.

    Raises:
        ConfigError: one does not go with what plays.
    """
    observers: dict[str, Observer] = build_checked("observer", config, system, "observer.")
    return dict(sorted(observers.items(), key=lambda item: item[1].writes))


def objective(run: Run) -> float | None:
    """The best value of the objective so far."""
    best: Mapping[str, Any] = run.best.get(run.config.objective or "", {})
    return best.get("value")
