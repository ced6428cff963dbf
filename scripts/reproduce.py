#!/usr/bin/env python
"""Run the experiments that reproduce papers or compare methods, and print one table of results.

    python scripts/reproduce.py                          all experiments, seed 0: a day on two cores
    python scripts/reproduce.py --only 'gulrajani2017/*' some experiments, by name
    python scripts/reproduce.py --seeds 3                seeds 0, 1 and 2, with mean ± standard deviation
    python scripts/reproduce.py --run none               no new runs, only the table
    python scripts/reproduce.py --full-scale             also experiments of the papers' size, which need a GPU for days

An experiment runs in outputs/reproduce/EXPERIMENT/SEED. A completed run is not repeated, whatever its overrides were;
remove its directory to repeat it. An interrupted run is resumed. scripts/truth.py has a table of its own for
`experiment=truth/…`. The table is saved as reproduce.md. The exit code is 1 if a value is not accepted or missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Column, Table

from gan_runner.config.expectations import Expectation, all_accepted, final_value, was_measured
from gan_runner.config.paths import CONF
from gan_runner.runs.saved import SavedRun
from gan_runner.runs.statistics import mean_and_sd
from gan_runner.runs.sweep import cell
from gan_runner.tools.files import write_text

EXPERIMENTS = CONF / "experiment"
Row = dict[str, str]


def main() -> None:
    """Run the experiments, read their results and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="*", metavar="GLOB", help="names of experiments, such as 'metz2017/*'")
    arguments.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 … N − 1 (default 1)")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel runs, one core each")
    arguments.add_argument("--run", choices=["missing", "none"], default="missing", help="which runs to start")
    arguments.add_argument("--full-scale", action="store_true", help="also experiments that need a GPU for days")
    arguments.add_argument("--out", type=Path, default=Path("outputs/reproduce"), help="directory of the runs")
    overrides = "overrides for all runs, such as trainer.device=cuda; GAN_RUNNER_DATA names the folder of datasets"
    arguments.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=overrides)
    options = arguments.parse_args()
    known = [name for name in with_expectations() if options.full_scale or not content_of(name).get("full_scale")]
    names = [name for name in known if fnmatch.fnmatch(name, options.only)]
    if not names:
        arguments.error(f"no experiment matches {options.only}; choose from {', '.join(known)}")
    jobs = [(name, seed) for name in names for seed in range(options.seeds)]
    if options.run == "missing":
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda job: run(*job, options.out, options.overrides), jobs))
    rows = [row for name in names for row in rows_of(name, options.out)]
    report(rows, options.out)
    sys.exit(0 if all(row["verdict"] in ("passed", "reported") for row in rows) else 1)


def with_expectations() -> list[str]:
    """Names of the experiments with expected or reported metrics, except `truth/…`."""
    paths = {path.relative_to(EXPERIMENTS).with_suffix("").as_posix(): path for path in EXPERIMENTS.glob("**/*.yaml")}
    return sorted(name for name in paths if not name.startswith("truth/") and expectations(name))


def expectations(name: str) -> dict[str, Expectation]:
    """The expectations of an experiment, by metric."""
    return {metric: Expectation(**options) for metric, options in content_of(name).get("expected", {}).items()}


def content_of(name: str) -> dict:
    """The keys `expected` and `full_scale` of an experiment and of the settings that it includes."""
    return content_in(EXPERIMENTS / f"{name}.yaml")


def content_in(path: Path) -> dict:
    """The same keys of a file, merged over those of its settings as Hydra composes them."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    choices = [item for default in content.get("defaults", ()) if isinstance(default, dict) for item in default.items()]
    groups = [(group.partition("@")[0].strip("/"), option) for group, option in choices]
    settings = [content_in(CONF / group / f"{option}.yaml") for group, option in groups if group.startswith("setting")]
    own = {key: content[key] for key in ("expected", "full_scale") if content.get(key)}
    return OmegaConf.to_container(OmegaConf.merge(*settings, own))  # type: ignore[return-value]


def run(name: str, seed: int, out: Path, overrides: Sequence[str]) -> None:
    """Run an experiment with one seed on one core, unless it is completed. Its output goes to log_SEED.txt."""
    directory = out / name / str(seed)
    before = SavedRun(directory).outcome
    if before["status"] == "completed":
        print(f"{name}, seed {seed}: already completed, at step {before['step']}", flush=True)
        return
    command = [sys.executable, "-m", "gan_runner", f"experiment={name}", f"seed={seed}", f"hydra.run.dir={directory}"]
    print(f"{name}, seed {seed}: running", flush=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"log_{seed}.txt").open("a") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *overrides], stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)
    print(f"{name}, seed {seed}: {SavedRun(directory).outcome['status']}; see log_{seed}.txt", flush=True)


def rows_of(name: str, out: Path) -> Iterator[Row]:
    """One row for each metric that an experiment expects, over all seeds that were run. Failed runs do not pass.

    Bounds are those that the experiment's file and its settings have now.
    """
    summaries = [SavedRun(path).outcome for path in sorted((out / name).glob("*/")) if path.is_dir()]
    done = [summary for summary in summaries if summary["status"] == "completed"]
    minutes = mean_and_sd([summary["elapsed_s"] / 60 for summary in done])
    for metric, expectation in expectations(name).items():
        values = [final_value(summary["final"], metric) for summary in done]
        measured = [was_measured(summary["final"], metric) for summary in done]
        passed = [expectation.accepts(value) if there else None for value, there in zip(values, measured)]
        passed += [False] * (len(summaries) - len(done))
        published = "–" if expectation.published is None else f"{expectation.published:g}"
        yield {
            "experiment": name,
            "metric": metric,
            "published": published + (f" ± {expectation.spread:g}" if expectation.spread else ""),
            "accepted": str(expectation) or "–",
            "measured": cell(mean_and_sd(values)),
            "seeds": str(len(done)),
            "steps": f"{done[0]['step']:,}" if done else "–",
            "minutes": f"{math.ceil(minutes['mean'])}" if minutes else "–",
            "verdict": verdict(passed, "passed" if expectation.bounded else "reported"),
        }


def verdict(passed: Sequence[bool | None], good: str) -> str:
    """`good` if every seed passed; without a bound every finite value passes. None stands for a missing value."""
    if not passed:
        return "not run"
    if all_accepted(passed) is None:
        return f"undecided: not measured in {passed.count(None)} of {len(passed)}"
    return good if all(passed) else f"NOT passed: {passed.count(True)} of {len(passed)}"


def report(rows: Sequence[Row], out: Path) -> None:
    """Print the table, and save it as Markdown with more columns."""
    columns = ("measured", "accepted", "published", "verdict")
    shown = Table(
        Column("experiment, metric", overflow="fold"),
        *columns,
        title=f"results compared with papers ({out})",
        title_justify="left",
    )
    for name, alike in groupby(rows, key=lambda row: row["experiment"]):
        shown.add_row(name)
        for row in alike:
            shown.add_row(f"  {row['metric']}", *(row[column] for column in columns))
    Console().print(shown)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    write_text(out / "reproduce.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))


if __name__ == "__main__":
    main()
