"""`gan-compare`: runs beside one another, on one page that opens without a network."""

from __future__ import annotations

import argparse
import base64
import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_runner.cli.arguments import Parser
from gan_runner.config.instantiate import DIRECTIVES
from gan_runner.config.resolve import NON_TRAINING_KEYS, training_options
from gan_runner.errors import BadInput, ConfigError
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.saved import SavedRun, find_runs, read_run
from gan_runner.runs.sweep import cell, mean_and_sd, together, told_apart
from gan_runner.tools.files import write_text
from gan_runner.tools.outlets import outlets

TEMPLATE = Path(__file__).with_name("comparison.html")


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Told apart by the colour-blind too (Okabe & Ito 2008); where they do not suffice, the next seven are dashed."""


DASHES = (("solid", "solid"), ("dash", "dashed"), ("dot", "dotted"), ("dashdot", "double"))
"""Of a line in a chart, and of its swatch in the legend."""


AXES = ("step", "images_seen", "elapsed_s")


KINDS = ("best", "metric")
"""Of a metric's figures: the best during a run, and the last."""


MOST_OPTIONS = 20
"""That differ in a table that is not folded away."""


MOST_POINTS = 2000
"""Of a curve; of a longer one every second, third, … point is drawn."""


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in the seed alone, the smallest first."""

    name: str
    runs: Sequence[SavedRun]

    @property
    def seeds(self) -> str:
        """The seeds, listed."""
        return ", ".join("–" if run.seed is None else str(run.seed) for run in self.runs)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = Parser(prog="gan-compare", description="Put runs beside one another on one HTML page.")
    arguments.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="directories of runs, or of sweeps")
    arguments.add_argument(
        "--out",
        type=Path,
        metavar="PAGE.html",
        help="default: comparison.html in RUN_DIR if only one is given, or else here",
    )
    return arguments


@outlets()
def main(arguments: Sequence[str] | None = None) -> None:
    """The command `gan-compare`."""
    options = parser().parse_args(arguments)
    try:
        print(compare(options.runs, options.out))
    except (BadInput, OSError) as error:
        print(f"gan-compare: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def compare(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Read runs, write the page; returns where to.

    Raises:
        ConfigError: a path holds no run, or the page cannot lie where it is asked for.
        DataError: a file of a run is broken.
    """
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out} is a directory; name a file in it, as {out / 'comparison.html'}")
    runs = [read_run(path) for path in find_runs(paths)]
    page = out or (paths[0] if len(paths) == 1 else Path()) / "comparison.html"
    write_text(page, page_of(configurations_of(runs), ", ".join(map(str, paths))))
    return page


def configurations_of(runs: Iterable[SavedRun]) -> list[Configuration]:
    """Runs that differ in the seed alone taken together, and named by what was typed for them and not for all."""
    kinds: dict[str, list[SavedRun]] = defaultdict(list)
    for run in runs:
        kinds[run.kind].append(run)
    typed = [[o for o in alike[0].chosen if all(o in run.chosen for run in alike)] for alike in kinds.values()]
    names: list[str] = []
    for words, alike in zip(told_apart(typed), kinds.values()):
        name = words or alike[0].label or "(defaults)"
        names.append(name if name not in names else f"{name} ({alike[0].path})")
    return [
        Configuration(name, sorted(alike, key=lambda run: (run.seed is None, run.seed)))
        for name, alike in zip(names, kinds.values())
    ]


def flattened(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text; a list is a value. How Hydra calls a part is no option of it."""
    for key, value in config.items():
        if key in DIRECTIVES - {"_target_"}:
            continue
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def options_of(run: SavedRun) -> dict[str, str]:
    """What was chosen for a run, by dotted key, without seeds, logging and paths."""
    options: Any = OmegaConf.to_container(run.config)
    chosen = {key: value for key, value in options.items() if key not in (*NON_TRAINING_KEYS, "hydra")}
    return {key: value for key, value in flattened(chosen) if key.rpartition(".")[2] != "root"}


def differences(configurations: Sequence[Configuration]) -> dict[str, list[str]]:
    """Of the options that are not the same in all runs, the value in each configuration, or several; `–` for none."""
    options = [[options_of(run) for run in one.runs if run.config] for one in configurations]
    runs = list(chain.from_iterable(options))
    keys = dict.fromkeys(chain.from_iterable(runs))
    return {
        key: [", ".join(dict.fromkeys(run.get(key, "–") for run in alike)) or "–" for alike in options]
        for key in keys
        if len({run.get(key) for run in runs}) > 1
    }


def directions(configurations: Sequence[Configuration]) -> dict[str, str]:
    """`min` or `max` for each figure of which the summaries say, with one voice, what is better."""
    said: dict[str, set[str]] = defaultdict(set)
    for run in chain.from_iterable(one.runs for one in configurations):
        for name, best in run.summary.get("best", {}).items():
            if "better" in best:
                said[name].add(best["better"])
    known = {name: better.pop() for name, better in said.items() if len(better) == 1}
    return {f"{prefix}/{name}": better for prefix in KINDS for name, better in known.items()}


def page_of(configurations: Sequence[Configuration], sources: str) -> str:
    """The page: text, tables, pictures, figures and the code that draws them, all in one."""
    from plotly.offline import get_plotlyjs  # here, so that --help need not wait for it

    charts, axes = charts_of(configurations)
    styles = [style_of(number) for number in range(len(configurations))]
    data = {
        "configurations": [
            {"name": escape(one.name), "colour": colour, "dash": dash}
            for one, (colour, dash, _) in zip(configurations, styles)
        ],
        "axes": axes,
        "charts": charts,
    }
    runs = sum(len(one.runs) for one in configurations)
    title = f"{count(runs, 'run')} of {count(len(configurations), 'configuration')}"
    sections = [
        header(configurations, title, sources),
        figures_section(configurations),
        verdict_section(configurations),
        differences_section(configurations),
        charts_section(configurations, charts),
        samples_section(configurations),
        runs_section(configurations),
    ]
    parts = {
        "title": escape(f"{title}: {sources}"),
        "body": "\n".join(sections),
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "plotly": get_plotlyjs(),
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def style_of(number: int) -> tuple[str, str, str]:
    """Colour of a configuration, and the dash of its lines in charts and in the legend."""
    dash, border = DASHES[number // len(COLOURS) % len(DASHES)]
    return COLOURS[number % len(COLOURS)], dash, border


def named(number: int, configuration: Configuration) -> str:
    """A configuration's swatch and name."""
    colour, _, border = style_of(number)
    return f'<span class="swatch" style="border-color:{colour};border-top-style:{border}"></span>' + broken(
        configuration.name
    )


def broken(text: str) -> str:
    """Text that may break before a word, behind a slash, a dot or an underscore."""
    return re.sub(r"([/._])(?=[^\W\d]\w\w)", r"\1<wbr>", escape(text))


def header(configurations: Sequence[Configuration], title: str, sources: str) -> str:
    """What is compared, and how far it is."""
    statuses = Counter(run.summary["status"] for one in configurations for run in one.runs)
    said = ", ".join(f"{number} {escape(str(status))}" for status, number in statuses.items())
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return f'<h1>{title}</h1>\n<p>{said}</p>\n<p class="note">{escape(sources)}; read {when}</p>'


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """A table, from cells of its head and whole rows."""
    cells = "".join(f"<th>{text}</th>" for text in head)
    return (
        f'<div class="wide"><table><thead><tr>{cells}</tr></thead>\n'
        f"<tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table></div>"
    )


def figures_section(configurations: Sequence[Configuration]) -> str:
    """Mean ± sd over the seeds of each configuration, the best of a column marked."""
    rows = [together([dict(run.summary) for run in one.runs]) for one in configurations]
    objectives = {run.summary.get("objective") for one in configurations for run in one.runs}
    keys = shown_figures([key for row in rows for key in row["figures"]], objectives)
    shown = [key for key in keys if not repeats(key, rows)]
    better = directions(configurations)
    arrows = {"min": "\u00a0↓", "max": "\u00a0↑"}
    head = [
        "configuration",
        "seeds",
        "completed",
        *(broken(key) + arrows.get(better.get(key, ""), "") for key in shown),
    ]
    marked = have_the_same_data(configurations)
    best = {key: best_mean([row["figures"].get(key) for row in rows], better.get(key)) for key in shown if marked}
    body = []
    for number, (one, row) in enumerate(zip(configurations, rows)):
        nowrap = ' class="number"' * (len(one.runs) <= 8)
        cells = [f"<th>{named(number, one)}</th><td{nowrap}>{escape(one.seeds)}</td>"]
        cells.append(f'<td class="number">{row["completed"]} of {row["runs"]}</td>')
        for key in shown:
            figure = row["figures"].get(key)
            mark = " best" if figure is not None and shown_mean(figure["mean"]) == best.get(key) else ""
            cells.append(f'<td class="number{mark}">{cell(figure)}</td>')
        body.append("".join(cells))
    said = "the best mean of such a column is marked" if marked else "none is marked, for the data are not the same"
    return (
        f"<h2>Figures</h2>\n{table(head, body)}\n"
        '<p class="note">Mean ± sd (n − 1) over the runs that completed. best/… is the best value during a run, '
        f"metric/… the last; ↓ less is better, ↑ more is better, and {said}. "
        "steps_per_second and elapsed_s are those of whole runs.</p>"
    )


def shown_figures(keys: Sequence[str], objectives: set[str | None]) -> list[str]:
    """Of all figures the metrics, best and last, those first that decide which checkpoint is best; rate and time."""
    names = dict.fromkeys(key.partition("/")[2] for key in keys if key.startswith(("best/", "metric/")))
    metrics = [f"{kind}/{name}" for name in sorted(names, key=lambda name: name not in objectives) for kind in KINDS]
    return [key for key in (*metrics, "steps_per_second", "elapsed_s") if key in keys]


def repeats(key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a best figure is the last one everywhere, as where runs measured once."""
    last = key.replace("best/", "metric/")
    return key != last and all(row["figures"].get(key) == row["figures"].get(last) for row in rows)


def have_the_same_data(configurations: Sequence[Configuration]) -> bool:
    """Whether all configurations have one dataset; only then does a figure say which is better."""
    known = [one.runs[0].config for one in configurations if one.runs[0].config]
    return all(training_options(config).get("dataset") == training_options(known[0]).get("dataset") for config in known)


def best_mean(column: Sequence[Mapping[str, Any] | None], better: str | None) -> str | None:
    """The best mean of a column, as shown; None if all look the same, or there is no telling what is better."""
    means = [figure["mean"] for figure in column if figure is not None]
    if better is None or len({shown_mean(mean) for mean in means}) < 2:
        return None
    return shown_mean(min(means) if better == "min" else max(means))


def shown_mean(mean: float) -> str:
    """Four digits, as in `cell`."""
    return f"{mean:.4g}"


def verdict_section(configurations: Sequence[Configuration]) -> str:
    """What was published, accepted and measured, where runs have a verdict."""
    rows: dict[tuple[int, str, str, str], list[tuple[float | None, bool]]] = defaultdict(list)
    for number, one in enumerate(configurations):
        for summary in (run.summary for run in one.runs if run.summary.get("passed") is not None):
            for figure, value in summary["measured"].items():
                published, accepted = summary["published"][figure], summary["accepted"][figure]
                spread = summary.get("spread", {}).get(figure)
                said = "–" if published is None else f"{published:g}" + (f" ± {spread:g}" if spread else "")
                key = (number, figure, said, accepted)
                rows[key].append((value, summary["passed"]))
    if not rows:
        return ""
    body = []
    for (number, figure, published, accepted), measured in rows.items():
        passed = f"{sum(passed for _, passed in measured)} of {len(measured)}"
        cells = (figure, published, accepted, cell(mean_and_sd(value for value, _ in measured)), passed)
        body.append(
            f"<th>{named(number, configurations[number])}</th>" + "".join(f"<td>{escape(text)}</td>" for text in cells)
        )
    head = ("configuration", "figure", "published", "accepted", "measured", "runs passed")
    return (
        f"<h2>Verdict</h2>\n{table(head, body)}\n"
        '<p class="note">What the experiments promise of their last figures; a run passes if it keeps them all.</p>'
    )


def rows_of(names: Sequence[str], cells: Iterable[Iterable[str]]) -> list[str]:
    """Rows of a table, each with its name in front."""
    return [f"<th>{name}</th>{''.join(row)}" for name, row in zip(names, cells)]


def differences_section(configurations: Sequence[Configuration]) -> str:
    """Which options differ; those with the same values as another stand beneath it.

    The longer one of options and configurations goes down the page.
    """
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, values in differences(configurations).items():
        alike[tuple(values)].append(key)
    options = ["<code>seed</code>"]
    for first, *copies in alike.values():
        also = f"<small>{', '.join(map(broken, copies))}</small>" if copies else ""
        options.append(f"<code>{broken(first)}</code>{also}")
    names = [named(number, one) for number, one in enumerate(configurations)]
    columns = [[f'<td class="long">{broken(value)}</td>' for value in row] for row in alike]
    columns.insert(0, [f"<td>{escape(one.seeds)}</td>" for one in configurations])
    if len(names) > len(options):
        head, body = ["configuration", *options], rows_of(names, zip(*columns))
    else:
        head, body = ["option", *names], rows_of(options, columns)
    if len(configurations) == 1 and not alike:
        return ""
    folded, end = "", ""
    if len(alike) > MOST_OPTIONS:
        folded, end = f"<details><summary>{count(len(alike), 'option')}</summary>", "</details>"
    return (
        f"<h2>What differs</h2>\n{folded}{table(head, body)}\n"
        '<p class="note">All other options of config.yaml, but for paths and logging, are the same. An option in small '
        f"print has the values of the one above it; – is an option that a configuration does not have.</p>{end}"
    )


@dataclass
class Axes:
    """Where curves have their points: by step, images seen and seconds, kept once however many curves are there."""

    rows: list[dict[str, list[Any]]] = field(default_factory=list)
    numbers: dict[Any, int] = field(default_factory=dict)

    def of(self, runs: Sequence[SavedRun], steps: Sequence[int]) -> int:
        """The number of the axes of a run at some steps, or of the mean of several."""
        key = (tuple(run.path for run in runs), tuple(steps))
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            means = {name: sum(positions(run, name, steps) for run in runs) / len(runs) for name in AXES[1:]}
            self.rows.append({"step": list(steps), **{name: rounded(at) for name, at in means.items()}})
        return self.numbers[key]


def positions(run: SavedRun, name: str, steps: Sequence[int]) -> Any:
    """Images seen or seconds at some steps (n,), on lines between those that were logged; NaN behind the last."""
    import numpy as np  # here, and below, so that --help need not wait for it

    known = {0: 0.0, **{step: value for step, value in run.curve(name).items() if value is not None}}
    return np.interp(steps, list(known), list(known.values()), right=np.nan)


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """To six digits, which no eye can tell from more; None for what is not finite."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]


def charts_of(configurations: Sequence[Configuration]) -> tuple[list[dict[str, Any]], list[dict[str, list[Any]]]]:
    """A chart a logged key, and the axes that their curves share.

    Metrics come first, then the terms that players descend, then the rest, which is `folded`.
    """
    runs = [run for one in configurations for run in one.runs]
    keys = dict.fromkeys(key for run in runs for line in run.lines for key in line if key not in AXES)
    terms = dict.fromkeys(chain.from_iterable(run.terms for run in runs))
    first = [key for key in keys if key.startswith("metric/")] + [key for key in terms if key in keys]
    axes = Axes()
    charts = []
    for key in dict.fromkeys([*first, *keys]):
        curves = [curve for number, one in enumerate(configurations) for curve in curves_of(number, one, key, axes)]
        every = max(curve.pop("every") for curve in curves)
        charts.append({"key": key, "folded": key not in first, "every": every, "curves": curves})
    return charts, axes.rows


def curves_of(number: int, configuration: Configuration, key: str, axes: Axes) -> Iterator[dict[str, Any]]:
    """A thin curve a seed, and their mean in bold, with its sd, where all of them were logged."""
    import numpy as np

    logged = {run.path: run.curve(key) for run in configuration.runs}
    runs = [run for run in configuration.runs if logged[run.path]]
    for run in runs:
        steps = thinned(list(logged[run.path]))
        yield {
            "configuration": number,
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
            "configuration": number,
            "label": f"mean of {len(runs)} seeds",
            "bold": True,
            "axis": axes.of(runs, steps),
            "y": rounded(values.mean(0)),
            "sd": rounded(values.std(0, ddof=1)),
            "every": stride(len(shared)),
        }


def stride(points: int) -> int:
    """How many points there are to one that is drawn."""
    return -(-points // MOST_POINTS)


def thinned(steps: Sequence[int]) -> list[int]:
    """So few steps that a chart can show them all, the last among them."""
    every = stride(len(steps))
    return list(dict.fromkeys([*steps[::every], *steps[-1:]]))


def charts_section(configurations: Sequence[Configuration], charts: Sequence[Mapping[str, Any]]) -> str:
    """Places for the charts, a legend for all of them, and what can be chosen."""
    if not charts:
        return '<h2>Curves</h2>\n<p class="note">Nothing has been logged yet.</p>'
    places: dict[bool, list[str]] = defaultdict(list)
    for number, chart in enumerate(charts):
        thin = (
            f'<p class="note">of the longest curve 1 of {chart["every"]} points is drawn</p>'
            if chart["every"] > 1
            else ""
        )
        place = (
            f'<section data-chart="{number}"><h3>{broken(chart["key"])}</h3>{thin}<div class="chart"></div></section>'
        )
        places[chart["folded"]].append(place)
    legend = "".join(
        f'<button type="button" data-configuration="{number}" aria-pressed="true">{named(number, one)}</button>'
        for number, one in enumerate(configurations)
    )
    choices = "".join(
        f'<label><input type="radio" name="axis" value="{axis}"{" checked" * (axis == "step")}> {axis}</label>'
        for axis in AXES
    )
    folded = (
        f'<details class="folded"><summary>{count(len(places[True]), "more chart")}</summary>'
        f'<div class="charts">{"".join(places[True])}</div></details>'
        if places[True]
        else ""
    )
    return (
        "<h2>Curves</h2>\n"
        '<p class="note">A thin line a seed; their mean in bold, with a band of ± sd, wherever all seeds of the '
        "configuration have a value; over elapsed_s it stands at their mean time. A gap is a value that was not "
        "finite. Drag to look closer, double-click to go back; a click on a configuration hides or shows it.</p>\n"
        f'<div class="controls"><form id="controls">{choices}'
        '<label><input type="checkbox" name="log"> log scale, where all values are positive</label></form>'
        f'<div class="legend">{legend}</div></div>\n<div class="charts">{"".join(places[False])}</div>\n{folded}'
    )


def samples_section(configurations: Sequence[Configuration]) -> str:
    """The last picture of each run, and its animation where it has one: a row a configuration."""
    rows = []
    for number, one in enumerate(configurations):
        pictures = "".join(map(pictures_of, one.runs))
        if pictures:
            rows.append(f'<h3>{named(number, one)}</h3><div class="pictures">{pictures}</div>')
    if not rows:
        return ""
    return '<h2>Samples</h2>\n<p class="note">The last of each run; a click enlarges.</p>\n' + "\n".join(rows)


def pictures_of(run: SavedRun) -> str:
    """The last picture of a run, and its animation, if there are any."""
    samples = RunDirectory(run.path).samples
    figures = ""
    for last in sorted(samples.glob("step_*.png"))[-1:]:
        step = last.stem.removeprefix("step_").lstrip("0") or "0"
        figures += figure_of(last, "image/png", f"seed {run.seed}, step {step}")
    for animation in samples.glob("training.gif"):
        figures += f"<details><summary>training</summary>{figure_of(animation, 'image/gif', animation.name)}</details>"
    return f"<div>{figures}</div>" if figures else ""


def figure_of(path: Path, kind: str, caption: str) -> str:
    """A picture as part of the page."""
    content = base64.b64encode(path.read_bytes()).decode()
    said = escape(caption)
    return f'<figure><img src="data:{kind};base64,{content}" alt="{said}"><figcaption>{said}</figcaption></figure>'


def runs_section(configurations: Sequence[Configuration]) -> str:
    """A line a run: where it is, how far it came, what ended it."""
    body = []
    for number, one in enumerate(configurations):
        for run in one.runs:
            step = run.summary.get("step", run.lines[-1]["step"] if run.lines else "–")
            steps = run.config.trainer.steps if "trainer" in run.config else "–"
            cells = (run.label or "–", run.seed, run.summary["status"], f"{step} of {steps}")
            said = "".join(f"<td>{escape(str(text))}</td>" for text in cells)
            error = f"<small>{escape(str(run.summary['error']))}</small>" if "error" in run.summary else ""
            body.append(f"<th>{named(number, one)}</th>{said}<td><code>{broken(str(run.path))}</code>{error}</td>")
    head = ("configuration", "parts", "seed", "status", "step", "directory")
    return (
        f"<h2>Runs</h2>\n{table(head, body)}\n"
        '<p class="note">running: there is no summary.json yet, or never will be if the run was killed.</p>'
    )


if __name__ == "__main__":
    main()
