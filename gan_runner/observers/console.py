"""The console: a table of players, then a progress bar on a terminal, or plain lines in a file."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gan_runner.observers.base import Observer
from gan_runner.runs.event import StepEvent
from gan_runner.tools.activity import THEN_EVERY_S
from gan_runner.tools.files import relative

if TYPE_CHECKING:
    from gan_runner.runs.run import Run

ENOUGH_TO_TIME_S = 10.0
"""Seconds of training from which the time of the rest is estimated."""

HOURS_TO_WARN_OF = 3.0
"""Hours that a user should know of."""

log = logging.getLogger("gan_runner")


@dataclass
class Console(Observer):
    """Shows the progress of a run.

    Args:
        seconds: the minimal time between two plain lines.
    """

    writes = True

    seconds: float = 5.0

    def start(self, run: Run) -> None:
        """Print the players, and choose progress bar or lines."""
        self.run = run
        self.steps = run.config.trainer.steps
        self.console = RichConsole()
        self.bar: Progress | None = None
        self.printed_at = float("-inf")
        self.silent_since = time.monotonic()
        self.first_step = run.step
        self.is_timed = run.system.device.type != "cpu"
        live = self.console.is_terminal and not run.multirun
        if live:
            self.handler: logging.Handler = RichHandler(console=self.console, show_path=False, show_level=False)
        else:
            self.handler = logging.StreamHandler(self.console.file)
            if run.multirun:  # several runs of a sweep may print at the same time
                self.handler.setFormatter(NamedLines(run.directory.path.name))
        self.handler.setLevel(logging.INFO)
        log.addHandler(self.handler)
        if live:
            self.console.print("\n".join(lines_of(run)), soft_wrap=True, markup=False, highlight=False)
            self.bar = bar(self.console)
            self.task = self.bar.add_task("", total=self.steps, completed=run.step, rate=0.0, losses="")
            self.bar.start()
        for line in lines_of(run):
            log.log(logging.DEBUG if live else logging.INFO, line)

    def __call__(self, event: StepEvent) -> None:
        """Update the bar; print a line if enough time has passed."""
        losses = {name: event.scalars[name] for name in self.logged(event.scalars)}
        if self.bar is not None:
            self.bar.update(self.task, completed=event.step)
            if "steps_per_second" in event.scalars:
                text = "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if "metric/" not in name)
                self.bar.update(self.task, rate=event.scalars["steps_per_second"], losses=text)
        self.warn_of_time(event.step)
        now = time.monotonic()
        if not losses and now - self.silent_since < THEN_EVERY_S:
            return
        if event.last or now - self.printed_at >= self.seconds:
            self.printed_at = self.silent_since = now
            values = {name: event.scalars[name] for name in ("steps_per_second",) if name in event.scalars} | losses
            text = " ".join(f"{name}={value:.4g}" for name, value in values.items())
            level = logging.DEBUG if self.bar is not None else logging.INFO
            log.log(level, "step=%d/%d %s", event.step, self.steps, text)

    def warn_of_time(self, step: int) -> None:
        """Once, after ten seconds of steps on a CPU: warn if the rest takes hours. Compiling counts for no step."""
        compiles, done = self.run.config.trainer.compile not in (False, "auto"), step - self.first_step
        elapsed = time.perf_counter() - self.run.started
        if self.is_timed or elapsed < ENOUGH_TO_TIME_S or done <= compiles:
            return
        self.is_timed = True
        rest = (self.steps - step) * elapsed / done
        if rest > HOURS_TO_WARN_OF * 3600:
            log.warning(
                "the rest takes about %.0f hours on this CPU, at %.2g s a step; use a GPU, or choose a smaller "
                "dataset.image_size, smaller networks or fewer trainer.steps",
                rest / 3600,
                elapsed / done,
            )

    def logged(self, scalars: Mapping[str, float]) -> list[str]:
        """The names of the players' terms and of metrics."""
        terms = [f"{player.name}/{term}" for player in self.run.system.players for term in player.terms]
        return [name for name in scalars if name in terms or name.startswith("metric/")]

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Print the result, and where to look next."""
        if self.bar is not None:
            self.bar.stop()
        best = "  ".join(f"{name} {best_value(best)}" for name, best in summary["best"].items())
        log.info(
            "%s at step %d of %d after %.0f s%s",
            summary["status"],
            summary["step"],
            self.steps,
            summary["elapsed_s"],
            f"; best {best}" if best else "",
        )
        if "passed" in summary:
            off = self.run.config.trainer.evaluate_every == 0
            log.info(verdict_line(summary, " (trainer.evaluate_every=0)" if off else ""))
        pictures = sorted(self.run.directory.samples.glob("step_*.png"))
        if pictures:
            log.info("last samples: %s", relative(pictures[-1]))
        if not self.run.multirun:
            where = shlex.quote(str(relative(self.run.directory.path)))
            if self.run.directory.has_checkpoint:
                log.info("draw more samples: gan-sample %s", where)
            log.info("show its curves, or compare it with other runs: gan-compare %s", where)
        log.removeHandler(self.handler)


class NamedLines(logging.Formatter):
    """Puts the name of a run before each of its lines."""

    def __init__(self, name: str):
        super().__init__("%(message)s")
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        """The message, each line with the name."""
        return "\n".join(f"{self.name}: {line}" for line in super().format(record).splitlines())


def best_value(best: Mapping[str, Any]) -> str:
    """A best value with an arrow in the better direction, and its step: `8 ↑ (step 500)`."""
    return f"{best['value']:.4g} {'↑' if best['better'] == 'max' else '↓'} (step {best['step']})"


def verdict_line(summary: Mapping[str, Any], why: str) -> str:
    """Whether the expected values were reached; if a metric was not measured, its name, and `why`."""
    if summary["passed"] is not None:
        return f"{'passed' if summary['passed'] else 'NOT passed'}: {'; '.join(verdicts(summary))}"
    missing = [name for name, value in summary["measured"].items() if value is None]
    return f"not checked: {' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} not measured{why}"


def verdicts(summary: Mapping[str, Any]) -> Iterator[str]:
    """The measured, accepted and published value of each expected metric."""
    for name, value in summary["measured"].items():
        measured = "not measured" if value is None else f"{value:.4g}"
        published, spread = summary["published"][name], summary["spread"][name]
        paper = "" if published is None else f", published {published:g}" + (f" ± {spread:g}" if spread else "")
        yield f"{name} {measured} (accepted {summary['accepted'][name]}{paper})"


def bar(console: RichConsole) -> Progress:
    """A progress bar with steps per second, remaining time and the losses."""
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
    )


def describe(run: Run) -> dict[str, str]:
    """The description of a run: parameters, data, device and directory."""
    sizes = {player.name: sum(p.numel() for p in player.parameters) for player in run.system.players}
    return {
        "parameters": ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
        "data": run.data.describe(),
        "device": (
            f"{run.system.device}, {run.environment['threads']} threads"
            if run.system.device.type == "cpu"
            else str(run.environment["device_name"])
        ),
        "directory": str(relative(run.directory.path)),
    }


def lines_of(run: Run) -> list[str]:
    """The method and its description as lines."""
    described = [*run.sheet.players, *(f"{name}: {text}" for name, text in describe(run).items())]
    return [run.label, *(f"  {line}" for line in described)]
