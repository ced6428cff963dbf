"""The content of the page of `gan-compare`: tables, charts and pictures. `comparison.html.jinja` has the layout."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from gan_runner.config.fingerprint import NON_TRAINING_KEYS, training_options
from gan_runner.config.instantiate import DIRECTIVES
from gan_runner.runs.saved import SavedRun
from gan_runner.runs.statistics import mean_and_sd
from gan_runner.runs.sweep import aggregate, cell, distinguishing_words

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "comparison.html.jinja"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Colours that the colour-blind can distinguish (Okabe & Ito 2008). More lines repeat them with dashes."""

DASHES = (("solid", "solid"), ("dash", "dashed"), ("dot", "dotted"), ("dashdot", "double"))
"""The dash style of a line in the charts, and of its swatch in the legend."""

AXES = ("step", "images_seen", "elapsed_s")

KINDS = ("best", "metric")
"""Prefixes of a metric's best value during a run, and of its last value."""

MOST_OPTIONS = 20
"""A table with more differing options than this is collapsed."""

MOST_POINTS = 2000
"""The maximal number of drawn points of a curve."""


@dataclass(frozen=True)
class Configuration:
    """Runs that differ only in the seed, in ascending order of it.

    Attributes:
        name: the options that distinguish it from the others.
        runs: at least one.
        number: its index, which selects colour and dash style.
    """

    name: str
    runs: Sequence[SavedRun]
    number: int = 0

    @property
    def seeds(self) -> str:
        """The seeds, separated by commas."""
        return ", ".join("–" if run.seed is None else str(run.seed) for run in self.runs)

    @property
    def colour(self) -> str:
        """The colour of its lines."""
        return COLOURS[self.number % len(COLOURS)]

    @property
    def dashes(self) -> tuple[str, str]:
        """The dash style of its lines in the charts, and in the legend."""
        return DASHES[self.number // len(COLOURS) % len(DASHES)]


def configurations_of(runs: Iterable[SavedRun]) -> list[Configuration]:
    """Group runs that differ only in the seed. Each group is named by the options that distinguish it."""
    kinds: dict[str, list[SavedRun]] = defaultdict(list)
    for run in runs:
        kinds[run.kind].append(run)
    typed = [[o for o in alike[0].chosen if all(o in run.chosen for run in alike)] for alike in kinds.values()]
    names: list[str] = []
    for words, alike in zip(distinguishing_words(typed), kinds.values()):
        name = words or alike[0].label or "(defaults)"
        names.append(name if name not in names else f"{name} ({alike[0].path})")
    return [
        Configuration(name, sorted(alike, key=lambda run: (run.seed is None, run.seed)), number)
        for number, (name, alike) in enumerate(zip(names, kinds.values()))
    ]


def flattened(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text. A list is one value. Hydra's directives are left out."""
    for key, value in config.items():
        if key in DIRECTIVES - {"_target_"}:
            continue
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def options_of(run: SavedRun) -> dict[str, str]:
    """The options of a run, by dotted key, without seeds, logging and paths."""
    options: Any = OmegaConf.to_container(run.config)
    chosen = {key: value for key, value in options.items() if key not in (*NON_TRAINING_KEYS, "hydra")}
    return {key: value for key, value in flattened(chosen) if key.rpartition(".")[2] != "root"}


def differences(configurations: Sequence[Configuration]) -> dict[str, list[str]]:
    """The options that differ between runs, with the value or values in each configuration; `–` for none."""
    options = [[options_of(run) for run in one.runs if run.config] for one in configurations]
    runs = list(chain.from_iterable(options))
    keys = dict.fromkeys(chain.from_iterable(runs))
    return {
        key: [", ".join(dict.fromkeys(run.get(key, "–") for run in alike)) or "–" for alike in options]
        for key in keys
        if len({run.get(key) for run in runs}) > 1
    }


def directions(configurations: Sequence[Configuration]) -> dict[str, str]:
    """`min` or `max` for each metric on whose direction all summaries agree."""
    found: dict[str, set[str]] = defaultdict(set)
    for run in chain.from_iterable(one.runs for one in configurations):
        for name, best in run.summary.get("best", {}).items():
            if "better" in best:
                found[name].add(best["better"])
    known = {name: better.pop() for name, better in found.items() if len(better) == 1}
    return {f"{prefix}/{name}": better for prefix in KINDS for name, better in known.items()}


def page_of(configurations: Sequence[Configuration], sources: str) -> str:
    """The HTML page, which contains its pictures, its data and the code that draws the charts.

    Args:
        configurations: the configurations to compare.
        sources: the paths that the runs were read from.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # imported here, so that --help is fast
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["breakable"] = breakable
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    charts, axes = charts_of(configurations)
    runs = sum(len(one.runs) for one in configurations)
    statuses = Counter(run.summary["status"] for one in configurations for run in one.runs)
    lines = [{"name": escape(one.name), "colour": one.colour, "dash": one.dashes[0]} for one in configurations]
    return environment.get_template(TEMPLATE).render(
        title=f"{count(runs, 'run')} of {count(len(configurations), 'configuration')}",
        sources=sources,
        read_at=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        statuses=", ".join(f"{number} {status}" for status, number in statuses.items()),
        configurations=configurations,
        **metrics_of(configurations),
        verdicts=verdicts_of(configurations),
        options=options_that_differ(configurations),
        most_options=MOST_OPTIONS,
        charts=charts,
        axes=AXES,
        samples=samples_of(configurations),
        methods=[(one, sheet) for one in configurations if (sheet := one.runs[0].method)],
        runs=[row_of(one, run) for one in configurations for run in one.runs],
        count=count,
        data={"configurations": lines, "axes": axes, "charts": charts},
        plotly=Markup(get_plotlyjs()),
    )


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def breakable(text: str) -> Markup:
    """HTML of a text that may wrap after a slash, a dot or an underscore."""
    from markupsafe import Markup

    return Markup(re.sub(r"([/._])(?=[^\W\d]\w\w)", r"\1<wbr>", escape(text)))


def metrics_of(configurations: Sequence[Configuration]) -> dict[str, Any]:
    """Mean ± sd over the seeds of each configuration.

    Returns:
        `columns`, a key and its better direction (`min`, `max` or None); `rows`, one per configuration; `marked`,
        whether the best mean of each column is marked.
    """
    rows = [aggregate([run.summary for run in one.runs]) for one in configurations]
    objectives = {run.summary.get("objective") for one in configurations for run in one.runs}
    keys = shown_metrics([key for row in rows for key in row["metrics"]], objectives)
    shown = [key for key in keys if not repeats(key, rows)]
    better = directions(configurations)
    marked = have_the_same_data(configurations)
    columns = {key: [row["metrics"].get(key) for row in rows] for key in shown}
    best = {key: best_mean(column, better.get(key)) if marked else None for key, column in columns.items()}
    cells = [
        {
            "configuration": one,
            "completed": f"{row['completed']} of {row['runs']}",
            "cells": [cell_of(row["metrics"].get(key), best[key]) for key in shown],
        }
        for one, row in zip(configurations, rows)
    ]
    return {"columns": [(key, better.get(key)) for key in shown], "rows": cells, "marked": marked}


def cell_of(spread: Mapping[str, Any] | None, best: str | None) -> tuple[str, bool]:
    """Mean ± sd as text, and whether the mean is the best of its column."""
    return cell(spread), spread is not None and shown_mean(spread["mean"]) == best


def shown_metrics(keys: Sequence[str], objectives: set[str | None]) -> list[str]:
    """The columns to show: metrics, best and last, with the runs' objectives first; then rate and time."""
    names = dict.fromkeys(key.partition("/")[2] for key in keys if key.startswith(("best/", "metric/")))
    metrics = [f"{kind}/{name}" for name in sorted(names, key=lambda name: name not in objectives) for kind in KINDS]
    return [key for key in (*metrics, "steps_per_second", "elapsed_s") if key in keys]


def repeats(key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column `best/NAME` equals `metric/NAME` in every row, as in runs that measured once."""
    last = key.replace("best/", "metric/")
    return key != last and all(row["metrics"].get(key) == row["metrics"].get(last) for row in rows)


def have_the_same_data(configurations: Sequence[Configuration]) -> bool:
    """Whether all configurations have the same dataset. Otherwise their metrics are not comparable."""
    known = [one.runs[0].config for one in configurations if one.runs[0].config]
    return all(training_options(config).get("dataset") == training_options(known[0]).get("dataset") for config in known)


def best_mean(column: Sequence[Mapping[str, Any] | None], better: str | None) -> str | None:
    """The best mean of a column, as shown; None if all look equal, or the better direction is unknown."""
    means = [spread["mean"] for spread in column if spread is not None]
    if better is None or len({shown_mean(mean) for mean in means}) < 2:
        return None
    return shown_mean(min(means) if better == "min" else max(means))


def shown_mean(mean: float) -> str:
    """A mean with four significant digits, as in `cell`."""
    return f"{mean:.4g}"


def verdicts_of(configurations: Sequence[Configuration]) -> list[tuple[Configuration, list[str]]]:
    """A table row per configuration and expected metric: published, accepted, measured, runs that passed."""
    rows: dict[tuple[int, str, str, str], list[tuple[float | None, bool]]] = defaultdict(list)
    for one in configurations:
        for summary in (run.summary for run in one.runs if run.summary.get("passed") is not None):
            for metric, value in summary["measured"].items():
                published, accepted = summary["published"][metric], summary["accepted"][metric]
                spread = summary.get("spread", {}).get(metric)
                text = "–" if published is None else f"{published:g}" + (f" ± {spread:g}" if spread else "")
                rows[one.number, metric, text, accepted].append((value, summary["passed"]))
    verdicts = []
    for (number, metric, published, accepted), measured in rows.items():
        passed = f"{sum(passed for _, passed in measured)} of {len(measured)}"
        spread = cell(mean_and_sd(value for value, _ in measured))
        verdicts.append((configurations[number], [metric, published, accepted, spread, passed]))
    return verdicts


def options_that_differ(configurations: Sequence[Configuration]) -> list[tuple[list[str], list[str]]]:
    """The differing options and their values in each configuration, seeds first. Options with equal values share a row.

    Empty if there is nothing to compare.
    """
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, values in differences(configurations).items():
        alike[tuple(values)].append(key)
    if len(configurations) == 1 and not alike:
        return []
    seeds = [one.seeds for one in configurations]
    return [(["seed"], seeds), *((keys, list(values)) for values, keys in alike.items())]


@dataclass
class Axes:
    """The x axes of the curves: step, images seen and seconds. Curves with the same points share them."""

    rows: list[dict[str, list[Any]]] = field(default_factory=list)
    numbers: dict[Any, int] = field(default_factory=dict)

    def of(self, runs: Sequence[SavedRun], steps: Sequence[int]) -> int:
        """The index of the axes of a run at these steps, or of the mean of several runs."""
        key = (tuple(run.path for run in runs), tuple(steps))
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            means = {name: sum(positions(run, name, steps) for run in runs) / len(runs) for name in AXES[1:]}
            self.rows.append({"step": list(steps), **{name: rounded(at) for name, at in means.items()}})
        return self.numbers[key]


def positions(run: SavedRun, name: str, steps: Sequence[int]) -> Any:
    """Images seen or seconds at some steps, (n,), interpolated between logged steps; NaN after the last."""
    import numpy as np  # imported here, and below, so that --help is fast

    known = {0: 0.0, **{step: value for step, value in run.curve(name).items() if value is not None}}
    return np.interp(steps, list(known), list(known.values()), right=np.nan)


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Values rounded to six significant digits, which suffice for a chart; None where not finite."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]


def charts_of(configurations: Sequence[Configuration]) -> tuple[list[dict[str, Any]], list[dict[str, list[Any]]]]:
    """A chart per logged key, and the x axes of all curves.

    Metrics come first, then the terms of the players, then the rest, which is collapsed (`folded`).
    """
    runs = [run for one in configurations for run in one.runs]
    keys = dict.fromkeys(key for run in runs for line in run.lines for key in line if key not in AXES)
    terms = dict.fromkeys(chain.from_iterable(run.terms for run in runs))
    first = [key for key in keys if key.startswith("metric/")] + [key for key in terms if key in keys]
    axes = Axes()
    charts = []
    for key in dict.fromkeys([*first, *keys]):
        curves = [curve for one in configurations for curve in curves_of(one, key, axes)]
        every = max(curve.pop("every") for curve in curves)
        charts.append({"key": key, "folded": key not in first, "every": every, "curves": curves})
    return charts, axes.rows


def curves_of(configuration: Configuration, key: str, axes: Axes) -> Iterator[dict[str, Any]]:
    """A thin curve per seed, and in bold their mean and sd at the steps that all seeds logged."""
    import numpy as np

    logged = {run.path: run.curve(key) for run in configuration.runs}
    runs = [run for run in configuration.runs if logged[run.path]]
    for run in runs:
        steps = thinned(list(logged[run.path]))
        yield {
            "configuration": configuration.number,
            "label": f"seed {run.seed}",
            "bold": len(runs) == 1,
            "axis": axes.of([run], steps),
            "y": rounded(logged[run.path][step] for step in steps),
            "every": stride(len(logged[run.path])),
        }
    shared = set.intersection(*(set(logged[run.path]) for run in runs)) if len(runs) > 1 else set()
    if shared:
        steps = thinned(sorted(shared))
        values = np.array([[logged[run.path][step] for step in steps] for run in runs], dtype=float)  # None is NaN
        yield {
            "configuration": configuration.number,
            "label": f"mean of {len(runs)} seeds",
            "bold": True,
            "axis": axes.of(runs, steps),
            "y": rounded(values.mean(0)),
            "sd": rounded(values.std(0, ddof=1)),
            "every": stride(len(shared)),
        }


def stride(points: int) -> int:
    """Draw every this many-th point."""
    return -(-points // MOST_POINTS)


def thinned(steps: Sequence[int]) -> list[int]:
    """At most `MOST_POINTS` of the steps, evenly spaced, and the last one."""
    every = stride(len(steps))
    return list(dict.fromkeys([*steps[::every], *steps[-1:]]))


def samples_of(configurations: Sequence[Configuration]) -> list[tuple[Configuration, list[dict[str, Any]]]]:
    """The pictures of the runs of each configuration that has any."""
    found = [(one, list(filter(None, map(pictures_of, one.runs)))) for one in configurations]
    return [(one, pictures) for one, pictures in found if pictures]


def pictures_of(run: SavedRun) -> dict[str, Any]:
    """The last picture of a run's samples (`last`) and its `animation`, if there are any."""
    samples = run.directory.samples
    pictures = {}
    for last in sorted(samples.glob("step_*.png"))[-1:]:
        step = last.stem.removeprefix("step_").lstrip("0") or "0"
        pictures["last"] = picture_of(last, "image/png", f"seed {run.seed}, step {step}")
    animation = samples / "training.gif"
    if animation.exists():
        pictures["animation"] = picture_of(animation, "image/gif", animation.name)
    return pictures


def picture_of(path: Path, kind: str, caption: str) -> dict[str, str]:
    """A picture embedded in the page: its data URL (`source`) and a `caption`."""
    content = base64.b64encode(path.read_bytes()).decode()
    return {"source": f"data:{kind};base64,{content}", "caption": caption}


def row_of(configuration: Configuration, run: SavedRun) -> dict[str, Any]:
    """A table row of a run: path, progress, and the error that ended it."""
    step = run.summary.get("step", run.lines[-1]["step"] if run.lines else "–")
    steps = run.config.trainer.steps if "trainer" in run.config else "–"
    return {
        "configuration": configuration,
        "cells": [run.label or "–", run.seed, run.summary["status"], f"{step} of {steps}"],
        "path": str(run.path),
        "error": run.summary.get("error"),
    }
