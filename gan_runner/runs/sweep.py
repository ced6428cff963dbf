"""The table at the end of a sweep: mean ± sd over seeds, read from the directories of its runs."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gan_runner.runs.saved import SavedRun, runs_in
from gan_runner.tools.files import remove_partial, write_json, write_text

if TYPE_CHECKING:
    from rich.table import Table


class SweepTable(Callback):
    """Prints and saves a table when a sweep has ended; its exit code is 0 only if every run completed."""

    started: ClassVar[Path | None] = None
    """The directory of the sweep of this process, for `remove_if_nothing_ran`: a sweep that fails calls no callback."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember where the sweep writes, and remove half-written files of one that was killed there."""
        SweepTable.started = sweep_directory(config)
        remove_partial(SweepTable.started)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Read the runs back; print and save the table; end the process with exit code 1 or 2 where a run failed."""
        directory = sweep_directory(config)
        runs = runs_in(directory)
        failed = [run for run in runs if run.outcome["status"] != "completed"]
        if runs and all(run.outcome.get("exit_code") == 2 for run in runs):
            if holds_only(directory, NOTES):
                shutil.rmtree(directory)
            sys.exit(2)
        if runs:
            report(directory, runs)
        if failed:
            sys.exit(1)

    @classmethod
    def remove_if_nothing_ran(cls) -> None:
        """Remove a sweep's directory that holds nothing but Hydra's `multirun.yaml`."""
        if cls.started is not None and cls.started.is_dir() and holds_only(cls.started, {"multirun.yaml"}):
            shutil.rmtree(cls.started)


def sweep_directory(config: DictConfig) -> Path:
    """Where a sweep writes, of the configuration that Hydra gives its callbacks."""
    return Path(config.hydra.sweep.dir)


NOTES = {"multirun.yaml", "overrides.yaml", "summary.json"}
"""Files that a run leaves which never began. A lock would mean that it may still."""


def holds_only(directory: Path, names: set[str]) -> bool:
    """Whether nothing but files of these names would be lost with a directory."""
    return {path.name for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()} <= names


def told_apart(typed: Sequence[Sequence[str]]) -> list[str]:
    """For each of several command lines the words that not all of them have; nothing for one that has no other."""
    common = set.intersection(*map(set, typed)) if len(typed) > 1 else set()
    return [" ".join(word for word in words if word not in common) for words in typed]


def over_seeds(runs: Iterable[SavedRun]) -> list[dict[str, Any]]:
    """Runs that differ in the seed alone, taken together: count, completed, mean and sd of each figure.

    Figures are those of `figures_of`.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[" ".join(o for o in run.overrides if not o.startswith("seed="))].append(run.outcome)
    return [{"overrides": name, **together(summaries)} for name, summaries in groups.items()]


def together(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of runs of one configuration: how many, how many completed, and of these the mean and sd of each figure."""
    done = [summary for summary in summaries if summary["status"] == "completed"]
    figures: dict[str, list[float | None]] = defaultdict(list)
    for summary in done:
        for key, value in figures_of(summary).items():
            figures[key].append(value)
    spreads = {key: mean_and_sd(values) for key, values in figures.items()}
    return {
        "runs": len(summaries),
        "completed": len(done),
        "figures": {key: spread for key, spread in spreads.items() if spread is not None},
    }


def figures_of(summary: dict[str, Any]) -> dict[str, float | None]:
    """`best/NAME` of each metric; the last of all that was logged; rate and time of the whole run, where it says."""
    best = {f"best/{name}": best["value"] for name, best in summary["best"].items()}
    whole = {key: summary[key] for key in ("steps_per_second", "elapsed_s") if key in summary}
    return {**best, **summary["final"], **whole}


def mean_and_sd(values: Iterable[float | None]) -> dict[str, Any] | None:
    """Mean, sd and n of the values that are finite, or None if there are none.

    The sd is that of a sample (n − 1); a single value has none.
    """
    finite = [value for value in values if value is not None]
    if not finite:
        return None
    sd = statistics.stdev(finite) if len(finite) > 1 else None
    return {"mean": statistics.fmean(finite), "sd": sd, "n": len(finite)}


def report(directory: Path, runs: Sequence[SavedRun]) -> None:
    """Save `sweep.json` and `sweep.md`; print the table, and what became of the runs that did not complete."""
    from rich.console import Console  # here, and below, so that --help need not wait for it

    rows = over_seeds(runs)
    write_json(directory / "sweep.json", rows)
    write_text(directory / "sweep.md", markdown(rows))
    console = Console()
    if not console.is_terminal:  # a file is as wide as it need be
        console.width = 500
    console.print(table(rows, title=f"mean ± sd over seeds ({directory})"))
    for run in runs:
        if run.outcome["status"] != "completed":
            name, outcome = run.path.relative_to(directory), run.outcome
            reason = f"run {name} {outcome['status']}: {outcome.get('error', '')}"
            console.print(reason, highlight=False, markup=False)


def shown_figures(row: dict[str, Any]) -> list[str]:
    """The figures that a person compares: metrics, best and last, and the rate."""
    return [key for key in row["figures"] if key.startswith(("best/", "metric/")) or key == "steps_per_second"]


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a configuration, a column a figure."""
    keys = list(dict.fromkeys(key for row in rows for key in shown_figures(row)))
    header = ["configuration", "completed", *keys]
    lines = [
        [
            row["overrides"] or "(defaults)",
            f"{row['completed']} of {row['runs']}",
            *(cell(row["figures"].get(key)) for key in keys),
        ]
        for row in rows
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, ["---"] * len(header), *lines])


def table(rows: list[dict[str, Any]], title: str) -> Table:
    """A line a figure, so that it fits a narrow terminal; of the configurations what tells them apart."""
    from rich.table import Table

    shown = Table("", "completed", "figure", "mean ± sd", title=title, title_justify="left")
    for name, row in zip(told_apart([row["overrides"].split() for row in rows]), rows):
        said, done = name or "(defaults)", f"{row['completed']} of {row['runs']}"
        for key in shown_figures(row) or ["–"]:
            shown.add_row(said, done, key, cell(row["figures"].get(key)))
            said = done = ""
        shown.add_section()
    return shown


def cell(figure: Mapping[str, Any] | None) -> str:
    """Mean ± sd with four digits."""
    if figure is None:
        return "–"
    return f"{figure['mean']:.4g}" + (f" ± {figure['sd']:.2g}" if figure["sd"] is not None else "")
