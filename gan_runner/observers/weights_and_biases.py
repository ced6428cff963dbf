"""Logging to Weights & Biases, which never stops or delays a run."""

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
"""Tolerance beyond W&B's own time limits."""

EVENTS_TO_WAIT = 10_000
"""Maximal number of queued events, about ten megabytes; beyond it the run stops logging to W&B."""


class BackgroundWorker:
    """A thread that executes actions in order, so that the run does not wait for them.

    W&B's client may wait for its service process without a time limit (in `finish`, and in `log` if the pipe is full).
    """

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[Callable[[], None], threading.Event, bool]] = queue.Queue(EVENTS_TO_WAIT)
        threading.Thread(target=self.work, name="W&B", daemon=True).start()

    def work(self) -> None:
        """Execute actions until the last one."""
        last = False
        while not last:
            action, done, last = self.waiting.get()
            action()
            done.set()

    def add(self, action: Callable[[], None], last: bool = False) -> threading.Event:
        """Queue an action that must not raise, and return an event that is set when it is done.

        Raises:
            queue.Full: too many actions are waiting.
        """
        done = threading.Event()
        self.waiting.put_nowait((action, done, last))
        return done


@dataclass
class WeightsAndBiases(Observer):
    """Logs a run to W&B, with the same keys as in `metrics.jsonl`.

    Args:
        mode: online, offline or disabled; None uses WANDB_MODE, else online if there is an account, else offline.
        project: W&B project.
        entity: W&B entity; None uses the default of the account.
        group: W&B group; None groups runs by their configuration without the seed.
        name: W&B name; None lets W&B choose.
        tags: W&B tags.
        artifacts: checkpoint to upload at the end: none, last or best.
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
        """Open the W&B run in the background, and wait a few seconds for it; events are queued until it is open."""
        self.run = run
        self.wandb: Any = None
        self.lost = False
        self.worker: BackgroundWorker | None = None
        if self.mode == "disabled" or (self.mode is None and os.environ.get("WANDB_MODE") == "disabled"):
            return
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # telemetry contacts W&B even without an account
        self.worker = BackgroundWorker()
        if not self.worker.add(lambda: self.attempt(self.begin)).wait(SECONDS_TO_START):
            log.warning("W&B has not answered for %d s; the run continues, and its log is queued", SECONDS_TO_START)

    def begin(self) -> None:
        """Open a W&B run; log offline if the server does not answer."""
        import wandb

        wandb.setup(wandb.Settings(show_info=False))  # suppresses a line for every repeated request
        try:
            run = self.open(self.chosen_mode(), self.run.wandb_id)
        except Exception as error:
            log.info("W&B did not start (%s); logging offline", one_line(error))
            # With another id, since W&B blocks the failed one until this process ends.
            run = self.open("offline", new_wandb_id())
        self.describe(run)
        self.wandb = run

    def chosen_mode(self) -> str | None:
        """Return the configured mode, else WANDB_MODE, else online; without an account, online becomes offline."""
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
        """Open a new W&B run, or continue the one with this id."""
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
                disable_code=True,  # do not upload the working directory
                disable_git=True,  # do not upload the address of the repository, which may contain a token
            ),
        )

    @property
    def seconds_to_finish(self) -> int:
        """How long the end of a run waits for W&B: longer if it uploads a checkpoint."""
        return SECONDS_TO_FINISH if self.artifacts == "none" else SECONDS_TO_UPLOAD

    def describe(self, run: Any) -> None:
        """Define the axes, and a column with the best value of each metric."""
        run.define_metric("step", hidden=True)
        run.define_metric("images_seen", step_metric="step")
        run.define_metric("*", step_metric="step")
        for metric in self.run.metrics.values():
            for name, better in directions_of(metric).items():
                run.define_metric(f"metric/{name}", step_metric="step", summary=better.__name__)

    def __call__(self, event: StepEvent) -> None:
        """Queue the values and pictures of the step."""
        if self.worker is None or not (event.scalars or event.pictures):
            return
        try:
            self.worker.add(lambda: self.attempt(self.log, event))
        except queue.Full:
            self.give_up(f"{EVENTS_TO_WAIT:,} events are waiting")

    def log(self, event: StepEvent) -> None:
        """Send the values and pictures of an event."""
        import wandb

        if self.wandb is not None and not self.lost:
            images = {key: wandb.Image(str(path)) for key, path in event.pictures.items()}
            self.wandb.log({"step": event.step, **event.scalars, **images})

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the W&B run with the status of the run, and upload a checkpoint if configured."""
        if self.worker is None:
            return
        seconds = self.seconds_to_finish + SECONDS_TO_SPARE
        try:
            finished = self.worker.add(lambda: self.attempt(self.close, summary), last=True).wait(seconds)
        except queue.Full:
            finished = False
        if not finished:
            self.give_up(f"it has not finished within {seconds} s")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Send best values, status and checkpoint, then finish."""
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
        """Execute an action; if it fails, warn once and stop logging to W&B."""
        try:
            action(*arguments)
        except Exception as error:
            if not self.lost:
                self.lost = True
                log.warning("W&B: %s; %s", one_line(error), self.fallback)

    def give_up(self, reason: str) -> None:
        """Stop logging to W&B and end its service process; otherwise the process could not exit."""
        import wandb

        if not self.lost:
            log.warning("logging to W&B stops: %s; %s", reason, self.fallback)
        self.worker, self.wandb, self.lost = None, None, True
        for process in psutil.Process().children():
            if process.name() == "wandb-core":
                process.kill()
        BackgroundWorker().add(lambda: self.attempt(wandb.teardown), last=True).wait(SECONDS_TO_SPARE)

    @property
    def fallback(self) -> str:
        """Where the log is kept, for warnings."""
        directory = self.run.directory
        return f"{directory.metrics} has all values; `wandb sync` can upload {directory.path / 'wandb'} later"


def one_line(error: Exception) -> str:
    """Return the type and first line of an error."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0].rstrip('.') if str(error).strip() else ''}"
