"""The table at the end of a sweep: mean ± standard deviation over seeds, read from the directories of its runs."""

from __future__ import annotations

import shlex
import shutil
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gan_runner.errors import BadInput, JobsLost
from gan_runner.runs.directory import NOT_STARTED_FILES
from gan_runner.runs.saved import SavedRun, runs_in
from gan_runner.runs.statistics import differences_from_best, mean_and_sd
from gan_runner.tools.files import relative, remove_partial, write_json, write_text

if TYPE_CHECKING:
    from rich.table import Table


class SweepCallback(Callback):
    """Base class of Hydra's callbacks at the end of a sweep. An error in one ends `gan-run` with exit code 1.

    Hydra would turn the error into a warning, and the exit code would be 0.

    Attributes:
        errors: the errors of this process's callbacks, for `gan-run` to report.
    """

    errors: ClassVar[list[Exception]] = []

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Read the runs of the sweep; store an error."""
        try:
            self.conclude(sweep_directory(config))
        except Exception as error:
            self.errors.append(error)

    @abstractmethod
    def conclude(self, directory: Path) -> None:
        """Do what is due at the end of the sweep in a directory."""


class SweepTable(SweepCallback):
    """Hydra's callback that prints and saves the table of a sweep. The exit code is 0 only if every run completed."""

    started: ClassVar[Path | None] = None
    """The directory of this process's sweep, for `remove_if_nothing_ran`: a sweep that fails calls no callback."""

    concluded: ClassVar[bool] = False
    """Whether the table was printed: Hydra 1.4 calls the callbacks of the end after an error too."""

    exit_code: ClassVar[int] = 0
    """The exit code of this process's sweep, by its runs: 1 if a run failed, 2 if all were refused."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Store the directory of the sweep, and remove partial files of an earlier one that was killed."""
        SweepTable.started = sweep_directory(config)
        remove_partial(SweepTable.started)

    def conclude(self, directory: Path) -> None:
        """Read the runs; print and save the table."""
        runs, SweepTable.concluded = runs_in(directory), True
        SweepTable.exit_code = int(any(run.outcome["status"] != "completed" for run in runs))
        if runs and all(run.outcome.get("exit_code") == 2 for run in runs):
            SweepTable.exit_code = 2
            if holds_only(directory, NOT_STARTED_FILES):
                shutil.rmtree(directory)
        elif runs:
            report(directory, runs)

    @classmethod
    def reset(cls) -> None:
        """Forget an earlier sweep of this process."""
        cls.started, cls.concluded, cls.exit_code = None, False, 0
        cls.errors.clear()

    @classmethod
    def after_error(cls, error: Exception, bad_input: Exception) -> Exception:
        """Print and save the table of this process's sweep if its launcher failed, or its search found nothing.

        Args:
            error: the error that ended the command.
            bad_input: the error to report if it came before the runs.

        Returns:
            The error to report.
        """
        runs = runs_in(cls.started) if cls.started is not None else []
        found_nothing = type(error) is ValueError and all(run.outcome["status"] != "completed" for run in runs)
        early = isinstance(bad_input, BadInput | HydraException | OmegaConfBaseException)
        if cls.started is None or not runs or (early and not found_nothing):
            return bad_input
        if not cls.concluded:
            report(cls.started, runs)
        return JobsLost(relative(cls.started), error)

    @classmethod
    def remove_if_nothing_ran(cls) -> None:
        """Remove the sweep's directory if it holds no run."""
        if (
            cls.started is not None
            and cls.started.is_dir()
            and holds_only(cls.started, {"multirun.yaml", "environment.json"})
        ):
            shutil.rmtree(cls.started)


def sweep_directory(config: DictConfig) -> Path:
    """The directory of a sweep, from the configuration that Hydra passes to callbacks."""
    return Path(config.hydra.sweep.dir)


def holds_only(directory: Path, names: set[str]) -> bool:
    """Whether all files in a directory have one of these names."""
    return {path.name for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()} <= names


def distinguishing_words(typed: Sequence[Sequence[str]]) -> list[str]:
    """For each command line, the words that not all of them share; an empty text if there is only one line."""
    common = set.intersection(*map(set, typed)) if len(typed) > 1 else set()
    return [" ".join(word for word in words if word not in common) for words in typed]


def aggregate_seeds(runs: Iterable[SavedRun]) -> list[dict[str, Any]]:
    """Aggregate runs that differ only in the seed: `overrides` and the entries of `aggregate`."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[" ".join(o for o in run.overrides if not o.startswith("seed="))].append(run.outcome)
    return [{"overrides": name, **aggregate(summaries)} for name, summaries in groups.items()]


def aggregate(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Aggregate runs of one configuration.

    Returns:
        `runs` and `completed`, numbers of runs; `metrics`, mean, sd, n and values of each value of `values_of` over the
        completed runs, and `better` (min or max) where it is known.
    """
    done = [summary for summary in summaries if summary["status"] == "completed"]
    better = {name: best["better"] for summary in done for name, best in summary["best"].items() if "better" in best}
    values: dict[str, list[float | None]] = defaultdict(list)
    for summary in done:
        for key, value in values_of(summary).items():
            values[key].append(value)
    spreads = {key: mean_and_sd(of_key) for key, of_key in values.items()}
    return {
        "runs": len(summaries),
        "completed": len(done),
        "metrics": {
            key: spread | ({"better": better[name]} if (name := name_of_metric(key)) in better else {})
            for key, spread in spreads.items()
            if spread is not None
        },
    }


def name_of_metric(key: str) -> str:
    """The name of the metric in the key of its best or its last value: `best/NAME`, `metric/NAME`."""
    return key.removeprefix("best/").removeprefix("metric/")


def values_of(summary: dict[str, Any]) -> dict[str, float | None]:
    """The values of a completed run: `best/NAME` of each metric, the last logged value of each key, rate and time."""
    best = {f"best/{name}": best["value"] for name, best in summary["best"].items()}
    whole = {key: summary[key] for key in ("steps_per_second", "elapsed_s") if key in summary}
    return {**best, **summary["final"], **whole}


def add_differences(rows: Sequence[dict[str, Any]]) -> None:
    """Add to each metric of each row with a better direction: `from_best`, its difference from the best mean, as text.

    The row with the best mean has none.
    """
    keys = dict.fromkeys(key for row in rows for key, spread in row["metrics"].items() if "better" in spread)
    for key in keys:
        spreads = [row["metrics"].get(key, {}) for row in rows]
        better = next(spread["better"] for spread in spreads if "better" in spread)
        found = differences_from_best([spread.get("values", []) for spread in spreads], better)
        for spread, difference in zip(spreads, found):
            if difference is not None:
                spread["from_best"] = str(difference)


def report(directory: Path, runs: Sequence[SavedRun]) -> None:
    """Save `sweep.json` and `sweep.md`; print the table, and why runs did not complete."""
    from rich.console import Console  # imported here, and below, so that --help does not wait for it

    rows = aggregate_seeds(runs)
    add_differences(rows)
    write_json(directory / "sweep.json", rows)
    write_text(directory / "sweep.md", markdown(rows))
    console = Console()
    if not console.is_terminal:  # do not wrap lines in a file
        console.width = 500
    console.print(table(rows, title=f"mean ± standard deviation (n − 1) over seeds ({relative(directory)})"))
    objectives = {f"metric/{run.outcome.get('objective')}" for run in runs}
    for key, configurations, difference in differences_of(rows):
        if key in objectives:
            console.print(f"{key}, {configurations} (best): {difference}", highlight=False, markup=False)
    for run in runs:
        if run.outcome["status"] != "completed":
            name, outcome = run.path.relative_to(directory), run.outcome
            reason = f"run {name} {outcome['status']}: {outcome.get('error', '')}"
            console.print(reason, highlight=False, markup=False)
    where = shlex.quote(str(relative(directory)))
    console.print(f"compare the runs on a page: gan-compare {where}", highlight=False, markup=False, soft_wrap=True)


def shown_metrics(row: dict[str, Any]) -> list[str]:
    """The keys to show: metrics, best and last, and steps per second."""
    return [key for key in row["metrics"] if key.startswith(("best/", "metric/")) or key == "steps_per_second"]


def markdown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table with a row per configuration and a column per metric."""
    keys = list(dict.fromkeys(key for row in rows for key in shown_metrics(row)))
    header = ["configuration", "completed", *keys]
    lines = [
        [
            row["overrides"] or "(defaults)",
            f"{row['completed']} of {row['runs']}",
            *(cell(row["metrics"].get(key)) for key in keys),
        ]
        for row in rows
    ]
    seeds = [
        [key, name, f"`{dots(row['metrics'][key]['values'], ends_of(rows, key))}`"]
        for key in keys
        for name, row in zip(names_of(rows), rows)
        if key in row["metrics"]
    ]
    tables = [
        [header, *lines],
        [["value", "configuration", "a dot per seed, from the least to the greatest value of the table"], *seeds],
        [["value", "configurations", INTERVALS], *map(list, differences_of(rows))],
    ]
    texts = (
        "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])
        for head, *lines in tables
        if lines
    )
    return f"Mean ± standard deviation (n − 1) over seeds.\n\n{chr(10).join(texts)}"


INTERVALS = (
    "difference of the means from the best one; all intervals of a metric hold together with 95 % (Welch, Bonferroni)"
)


def differences_of(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """For the last value of each metric: its key, `CONFIGURATION minus BEST`, and the difference."""
    names = names_of(rows)
    for key in dict.fromkeys(key for row in rows for key in shown_metrics(row) if key.startswith("metric/")):
        found = {name: row["metrics"].get(key, {}).get("from_best") for name, row in zip(names, rows)}
        best = next((name for name, row in zip(names, rows) if key in row["metrics"] and not found[name]), "")
        yield from ((key, f"{name} minus {best}", text) for name, text in found.items() if text)


def names_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The names of configurations: the words that differ."""
    return [name or "(defaults)" for name in distinguishing_words([row["overrides"].split() for row in rows])]


def ends_of(rows: Sequence[dict[str, Any]], key: str) -> tuple[float, float]:
    """The least and the greatest value of a key in a table."""
    values = [value for row in rows for value in row["metrics"].get(key, {}).get("values", ())]
    return min(values), max(values)


def dots(values: Sequence[float], ends: tuple[float, float], width: int = 24) -> str:
    """A line with a dot for each value, from the lower end to the upper one: `·•··•·`."""
    low, high = ends
    places = {round((value - low) / (high - low or 1.0) * (width - 1)) for value in values}
    return "".join("•" if place in places else "·" for place in range(width))


def table(rows: list[dict[str, Any]], title: str) -> Table:
    """A table with a row per metric, to fit a narrow terminal. Configurations are named by the words that differ."""
    from rich.table import Table
    from rich.text import Text

    shown = Table("", "completed", "metric", "mean ± sd", title=Text(title, "table.title"), title_justify="left")
    for name, row in zip(names_of(rows), rows):
        label, done = name, f"{row['completed']} of {row['runs']}"
        for key in shown_metrics(row) or ["–"]:
            shown.add_row(Text(label), done, Text(key), cell(row["metrics"].get(key)))
            label = done = ""
        shown.add_section()
    return shown


def cell(spread: Mapping[str, Any] | None) -> str:
    """Mean ± sd with four significant digits; – for None."""
    if spread is None:
        return "–"
    return f"{spread['mean']:.4g}" + (f" ± {spread['sd']:.2g}" if spread["sd"] is not None else "")
