"""What a person sees: a table of what plays, then a progress bar on a terminal or a plain line now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gan_runner.observers.base import Observer
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run

log = logging.getLogger("gan_runner")


@dataclass
class Console(Observer):
    """Shows a run.

    Args:
        seconds: at least so long between two plain lines.
    """

    writes = True

    seconds: float = 5.0

    def start(self, run: Run) -> None:
        """Say what plays, and choose bar or lines."""
        self.run = run
        self.steps = run.config.trainer.steps
        self.console = RichConsole()
        self.bar: Progress | None = None
        self.spoke = float("-inf")
        live = self.console.is_terminal and not run.multirun
        if live:
            self.handler: logging.Handler = RichHandler(console=self.console, show_path=False, show_level=False)
        else:
            self.handler = logging.StreamHandler(self.console.file)
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
        """Move the bar; speak now and then."""
        losses = {name: event.scalars[name] for name in self.shown(event.scalars)}
        if self.bar is not None:
            self.bar.update(self.task, completed=event.step)
            if "steps_per_second" in event.scalars:
                text = "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if "metric/" not in name)
                self.bar.update(self.task, rate=event.scalars["steps_per_second"], losses=text)
        if not losses:
            return
        now = time.monotonic()
        if event.last or now - self.spoke >= self.seconds:
            self.spoke = now
            said = {name: event.scalars[name] for name in ("steps_per_second",) if name in event.scalars} | losses
            text = " ".join(f"{name}={value:.4g}" for name, value in said.items())
            level = logging.DEBUG if self.bar is not None else logging.INFO
            log.log(level, "step=%d/%d %s", event.step, self.steps, text)

    def shown(self, scalars: Mapping[str, float]) -> list[str]:
        """The terms that players descend, and metrics."""
        terms = [f"{player.name}/{term}" for player in self.run.system.players for term in player.terms]
        return [name for name in scalars if name in terms or name.startswith("metric/")]

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Say how it ended, and where things are."""
        if self.bar is not None:
            self.bar.stop()
        best = "  ".join(f"{name} {best['value']:.4g} (step {best['step']})" for name, best in summary["best"].items())
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
            log.info("last samples: %s", pictures[-1])
        log.removeHandler(self.handler)


def verdict_line(summary: Mapping[str, Any], why: str) -> str:
    """Whether what was expected came true; where it could not be judged, what was not measured, and `why`."""
    if summary["passed"] is not None:
        return f"{'passed' if summary['passed'] else 'NOT passed'}: {'; '.join(verdicts(summary))}"
    missing = [name for name, value in summary["measured"].items() if value is None]
    return f"not judged: {' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} not measured{why}"


def verdicts(summary: Mapping[str, Any]) -> Iterator[str]:
    """Measured, accepted and published, of each figure that was expected."""
    for name, value in summary["measured"].items():
        measured = "not measured" if value is None else f"{value:.4g}"
        published, spread = summary["published"][name], summary["spread"][name]
        beside = "" if published is None else f", published {published:g}" + (f" ± {spread:g}" if spread else "")
        yield f"{name} {measured} (accepted {summary['accepted'][name]}{beside})"


def bar(console: RichConsole) -> Progress:
    """Progress with step rate, time left and the losses."""
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
    )


def facts(run: Run) -> dict[str, str]:
    """Sizes, data, device and directory."""
    sizes = {player.name: sum(p.numel() for p in player.parameters) for player in run.system.players}
    return {
        "parameters": ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
        "data": run.data.describe(),
        "device": (
            f"{run.system.device}, {run.environment['threads']} threads"
            if run.system.device.type == "cpu"
            else str(run.environment["device_name"])
        ),
        "directory": str(run.directory.path),
    }


def lines_of(run: Run) -> list[str]:
    """The method and the facts as lines."""
    described = [*run.sheet.players, *(f"{name}: {fact}" for name, fact in facts(run).items())]
    return [run.label, *(f"  {line}" for line in described)]
