"""Weights & Biases, which never stops or stalls a run."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from omegaconf import OmegaConf

from gan_runner.metrics.base import directions_of
from gan_runner.observers.base import Observer
from gan_runner.runs.environment import new_wandb_id
from gan_runner.runs.event import StepEvent
from gan_runner.tools.secrets import redact

if TYPE_CHECKING:
    from gan_runner.runs.run import Run

log = logging.getLogger("gan_runner")

SECONDS_TO_START = 10
SECONDS_TO_FINISH = 15
SECONDS_TO_UPLOAD = 600
SECONDS_TO_SPARE = 2
"""W&B keeps to its own limits about so well."""

EVENTS_TO_WAIT = 10_000
"""So many may wait for W&B to take them before it is given up: some ten megabytes."""


class BackgroundWorker:
    """A thread that does one thing after another, beside a run that waits for none of them.

    W&B's client waits for its service process without a limit (as `finish` does, and `log` when the pipe is full), so
    whoever calls it must be able to leave it behind.
    """

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[Callable[[], None], threading.Event, bool]] = queue.Queue(EVENTS_TO_WAIT)
        threading.Thread(target=self.work, name="W&B", daemon=True).start()

    def work(self) -> None:
        """Until the last is done."""
        last = False
        while not last:
            action, done, last = self.waiting.get()
            action()
            done.set()

    def add(self, action: Callable[[], None], last: bool = False) -> threading.Event:
        """Have something done that raises nothing, and be told when it is; `queue.Full` if too much waits already."""
        done = threading.Event()
        self.waiting.put_nowait((action, done, last))
        return done


@dataclass
class WeightsAndBiases(Observer):
    """One W&B run, with the keys of `metrics.jsonl`.

    Args:
        mode: online, offline or disabled; None lets WANDB_MODE decide, then whether there is an account.
        project: as in W&B.
        entity: as in W&B; None is the account's own.
        group: None groups runs by configuration less the seed.
        name: None lets W&B find one.
        tags: as in W&B.
        artifacts: which checkpoint to upload at the end: none, last or best.
    """

    writes = True

    mode: str | None = None
    project: str = "gan-runner"
    entity: str | None = None
    group: str | None = None
    name: str | None = None
    tags: list[str] | None = None
    artifacts: str = "none"

    def start(self, run: Run) -> None:
        """Open the run, and wait for it a while; what is logged meanwhile is sent when it is open."""
        self.run = run
        self.wandb: Any = None
        self.lost = False
        self.worker: BackgroundWorker | None = None
        if self.mode == "disabled" or (self.mode is None and os.environ.get("WANDB_MODE") == "disabled"):
            return
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its telemetry speaks to W&B even without an account
        self.worker = BackgroundWorker()
        if not self.worker.add(lambda: self.attempt(self.begin)).wait(SECONDS_TO_START):
            log.warning("W&B has not answered for %d s; the run goes on, and what it logs waits", SECONDS_TO_START)

    def begin(self) -> None:
        """Open a W&B run; without a server, offline."""
        import wandb

        wandb.setup(wandb.Settings(show_info=False))  # or it has a line for every request that it repeats
        try:
            run = self.open(self.chosen_mode(), self.run.wandb_id)
        except Exception as error:
            log.info("W&B did not start (%s); logging offline", one_line(error))
            # Under another id, for W&B keeps the one that failed to itself until this process ends.
            run = self.open("offline", new_wandb_id())
        self.describe(run)
        self.wandb = run

    def chosen_mode(self) -> str | None:
        """What was asked for; else what WANDB_MODE says; else online. Online without an account is offline."""
        mode = self.mode or os.environ.get("WANDB_MODE") or "online"
        if mode != "online":
            return self.mode  # None lets W&B read WANDB_MODE
        import wandb

        if wandb.login(prompt=False, timeout=SECONDS_TO_START):
            return "online"
        log.info(
            "W&B: no account, logging offline; look with `wandb leet`, upload with `wandb sync` (%s)",
            self.run.directory.path / "wandb",
        )
        return "offline"

    @property
    def config(self) -> dict[str, Any]:
        """The options of the run, the chosen parts in words, and the method in formulas."""
        options: Any = OmegaConf.to_container(self.run.config, resolve=True)
        return {**options, "label": self.run.label, "method_sheet": str(self.run.sheet)}

    def open(self, mode: str | None, id_: str) -> Any:
        """A W&B run of its own."""
        import wandb

        return wandb.init(
            mode=mode,  # type: ignore[arg-type]
            id=id_,
            resume="allow" if mode != "offline" else None,
            project=redact(self.project),
            entity=redact(self.entity),
            group=redact(self.group or self.run.group),
            name=redact(self.name),
            tags=redact(list(self.tags or ())) or None,
            job_type="train",
            dir=self.run.directory.path,
            config=redact(self.config),
            reinit="create_new",
            settings=wandb.Settings(
                init_timeout=SECONDS_TO_START,
                finish_timeout=self.seconds_to_finish,
                finish_timeout_raises=True,
                console="off",
                silent=True,
                disable_code=True,  # nobody asked for a copy of the folder that the run was started from
                disable_git=True,  # nor for the address it came from, which may hold a token
            ),
        )

    @property
    def seconds_to_finish(self) -> int:
        """So long the end of a run waits for W&B: longer if a checkpoint is to be uploaded."""
        return SECONDS_TO_FINISH if self.artifacts == "none" else SECONDS_TO_UPLOAD

    def describe(self, run: Any) -> None:
        """Axes, and the best value of each metric as a column of its own."""
        run.define_metric("step", hidden=True)
        run.define_metric("images_seen", step_metric="step")
        run.define_metric("*", step_metric="step")
        for metric in self.run.metrics.values():
            for name, better in directions_of(metric).items():
                run.define_metric(f"metric/{name}", step_metric="step", summary=better.__name__)

    def __call__(self, event: StepEvent) -> None:
        """One call a step with everything."""
        if self.worker is None or not (event.scalars or event.pictures):
            return
        try:
            self.worker.add(lambda: self.attempt(self.log, event))
        except queue.Full:
            self.give_up(f"it has taken nothing for {EVENTS_TO_WAIT:,} figures")

    def log(self, event: StepEvent) -> None:
        """Send a event's figures and pictures."""
        import wandb

        if self.wandb is not None and not self.lost:
            images = {key: wandb.Image(str(path)) for key, path in event.pictures.items()}
            self.wandb.log({"step": event.step, **event.scalars, **images})

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the run as what it was; upload a checkpoint if asked."""
        if self.worker is None:
            return
        seconds = self.seconds_to_finish + SECONDS_TO_SPARE
        try:
            finished = self.worker.add(lambda: self.attempt(self.close, summary), last=True).wait(seconds)
        except queue.Full:
            finished = False
        if not finished:
            self.give_up(f"it has not finished for {seconds} s")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Best figures, status, checkpoint, end."""
        if self.wandb is None:
            return
        for name, best in summary["best"].items():
            self.wandb.summary.update({f"best/{name}": best["value"], f"best/{name}_step": best["step"]})
        self.wandb.summary.update({"status": summary["status"]})
        path = {"last": self.run.directory.last, "best": self.run.directory.best}.get(self.artifacts)
        if path is not None and path.exists():
            self.wandb.log_artifact(str(path), name=f"checkpoint-{self.run.wandb_id}", type="checkpoint")
        self.wandb.finish(exit_code=int(summary["status"] != "completed"))

    def attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something that may fail without harm; say so once, and log no more."""
        try:
            action(*arguments)
        except Exception as error:
            if not self.lost:
                self.lost = True
                log.warning("W&B: %s; %s", one_line(error), self.consolation)

    def give_up(self, reason: str) -> None:
        """Leave W&B behind: its service process is ended, for what waits for that would wait forever, as would exit."""
        import wandb

        if not self.lost:
            log.warning("W&B is given up, for %s; %s", reason, self.consolation)
        self.worker, self.wandb, self.lost = None, None, True
        for process in psutil.Process().children():
            if process.name() == "wandb-core":
                process.kill()
        BackgroundWorker().add(lambda: self.attempt(wandb.teardown), last=True).wait(SECONDS_TO_SPARE)

    @property
    def consolation(self) -> str:
        """What is not lost."""
        directory = self.run.directory
        return (
            f"{directory.metrics} has everything, and `wandb sync` uploads later what is in {directory.path / 'wandb'}"
        )


def one_line(error: Exception) -> str:
    """The first line of an error, with its kind."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0].rstrip('.') if str(error).strip() else ''}"
