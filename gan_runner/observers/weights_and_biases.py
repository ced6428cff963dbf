"""Weights & Biases, which never stops or stalls a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from gan_runner.files import new_wandb_id
from gan_runner.metrics import best_of
from gan_runner.observers.base import Moment, Observer

if TYPE_CHECKING:
    from gan_runner.run import Run

log = logging.getLogger("gan_runner")

SECONDS_TO_START = 10
SECONDS_TO_FINISH = 15
SECONDS_TO_UPLOAD = 600


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
        """Open the run; without a server, offline; without W&B, not at all."""
        self.run = run
        self.wandb: Any = None
        if self.mode == "disabled" or (self.mode is None and os.environ.get("WANDB_MODE") == "disabled"):
            return
        try:
            self.wandb = self.open(self.chosen_mode(), run.wandb_id)
        except Exception as error:
            log.info("W&B did not start (%s); logging offline", one_line(error))
            # Under another id, for W&B keeps the one that failed to itself until this process ends.
            self.wandb = self.attempt(self.open, "offline", new_wandb_id())
        if self.wandb is not None:
            self.attempt(self.describe)

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

    def open(self, mode: str | None, id_: str) -> Any:
        """A W&B run of its own."""
        import wandb

        return wandb.init(
            mode=mode,  # type: ignore[arg-type]
            id=id_,
            resume="allow" if mode != "offline" else None,
            project=self.project,
            entity=self.entity,
            group=self.group or self.run.group,
            name=self.name,
            tags=self.tags or None,
            job_type="train",
            dir=self.run.directory.path,
            config={**OmegaConf.to_container(self.run.config, resolve=True), "label": self.run.label},  # type: ignore[dict-item]
            reinit="create_new",
            settings=wandb.Settings(
                init_timeout=SECONDS_TO_START,
                finish_timeout=SECONDS_TO_FINISH if self.artifacts == "none" else SECONDS_TO_UPLOAD,
                console="off",
                silent=True,
            ),
        )

    def describe(self) -> None:
        """Axes, and the best value of each metric as a column of its own."""
        self.wandb.define_metric("step", hidden=True)
        self.wandb.define_metric("images_seen", step_metric="step")
        self.wandb.define_metric("*", step_metric="step")
        for metric in self.run.metrics.values():
            for name, better in best_of(metric).items():
                self.wandb.define_metric(f"metric/{name}", step_metric="step", summary=better.__name__)

    def __call__(self, moment: Moment) -> None:
        """One call a step with everything."""
        if self.wandb is not None and (moment.scalars or moment.pictures):
            self.attempt(self.log, moment)

    def log(self, moment: Moment) -> None:
        """Send a moment's figures and pictures."""
        import wandb

        images = {key: wandb.Image(str(path)) for key, path in moment.pictures.items()}
        self.wandb.log({"step": moment.step, **moment.scalars, **images})

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the run as what it was; upload a checkpoint if asked."""
        if self.wandb is not None:
            self.attempt(self.close, summary)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Best figures, status, checkpoint, end."""
        for name, best in summary["best"].items():
            self.wandb.summary.update({f"best/{name}": best["value"], f"best/{name}_step": best["step"]})
        self.wandb.summary.update({"status": summary["status"]})
        path = {"last": self.run.directory.last, "best": self.run.directory.best}.get(self.artifacts)
        if path is not None and path.exists():
            self.wandb.log_artifact(str(path), name=f"checkpoint-{self.run.wandb_id}", type="checkpoint")
        self.wandb.finish(exit_code=int(summary["status"] != "completed"))

    def attempt(self, action: Any, *arguments: Any, **options: Any) -> Any:
        """Do something that may fail without harm; say so once."""
        try:
            return action(*arguments, **options)
        except Exception as error:
            log.warning("W&B: %s; the run goes on, and %s has everything", one_line(error), self.run.directory.metrics)
            self.wandb = None
            return None


def one_line(error: Exception) -> str:
    """The first line of an error, with its kind."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
