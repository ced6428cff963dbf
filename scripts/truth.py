#!/usr/bin/env python
"""Compare the critic of every loss with its known optimum: run all of `experiment=truth/…` and print one table.

    python scripts/truth.py             all losses, on all cores: a few minutes on two cores
    python scripts/truth.py wgan mmd    some losses
    python scripts/truth.py --seed 1    another seed

The table is saved as truth.md in the directory of the runs, as in conf/loss/README.md. The exit code is 1 if a value is
not accepted.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gan_runner.config.paths import CONF
from gan_runner.runs.saved import runs_in
from gan_runner.tools.activity import Activity

ESTIMATES = {
    "ratio": "log p/q",
    "relative": "log p/q + constant",
    "order": "the order of p/q",
    "sign": "the sign of p − q",
    "potential": "a distance",
}
"""The quantity that an optimal critic estimates, by what its loss identifies."""


def main() -> None:
    """Run the experiments, read their results and print the table."""
    names = sorted(path.stem for path in (CONF / "experiment" / "truth").glob("*.yaml"))
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", help=f"losses (default all): {', '.join(names)}")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the runs (default 0)")
    default = Path("outputs/truth") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    arguments.add_argument("--out", type=Path, default=default, help="directory of the runs (default outputs/truth/…)")
    options = arguments.parse_args()
    if unknown := set(options.names) - set(names):
        arguments.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    chosen = options.names or names
    started = time.perf_counter()
    cores = min(os.cpu_count() or 1, len(chosen))
    with ThreadPoolExecutor(cores) as pool, Activity("training critics", len(chosen), "losses") as activity:
        shares = [chosen[core::cores] for core in range(cores)]
        sweeps = [pool.submit(sweep, shares[core], options.out / str(core), options.seed) for core in range(cores)]
        while wait(sweeps, timeout=1).not_done:
            activity.done = len(list(options.out.glob("*/*/summary.json")))
    rows = [row for core in range(cores) for row in rows_of(options.out / str(core))]
    finished = {row["loss"] for row in rows}
    rows += [row_of(name, "none", None, "the run left no result", {}) for name in chosen if name not in finished]
    rows.sort(key=lambda row: chosen.index(row["loss"]))
    report(rows, options.out, time.perf_counter() - started)
    sys.exit(0 if all(row["passed"] for row in rows) else 1)


def sweep(names: list[str], directory: Path, seed: int) -> None:
    """Run experiments one after the other on one core, in a process of their own."""
    experiments = ",".join(f"truth/{name}" for name in names)
    command = [sys.executable, "-m", "gan_runner", "-m", f"experiment={experiments}", f"seed={seed}"]
    options = [f"hydra.sweep.dir={directory}", "logger.mode=disabled"]
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "log.txt").open("w") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *options], stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)


def rows_of(directory: Path) -> list[dict]:
    """One row for each expected metric, from the summaries of a sweep."""
    rows = []
    for run in runs_in(directory):
        summary = run.outcome
        name = next(word for word in run.overrides if word.startswith("experiment=")).partition("/")[2]
        for metric, accepted in summary.get("accepted", {"none": "the run failed"}).items():
            rows.append(row_of(name, metric, summary.get("measured", {}).get(metric), accepted, summary))
    return rows


def row_of(name: str, metric: str, measured: float | None, accepted: str, summary: dict) -> dict:
    """One row of the table."""
    return {
        "loss": name,
        "paper": paper_of(name),
        "estimates": ESTIMATES.get(summary.get("critic_estimates"), "–"),
        "metric": metric,
        "measured": "–" if measured is None else f"{measured:.3g}",
        "accepted": accepted,
        "passed": bool(summary.get("passed")),
    }


def paper_of(name: str) -> str:
    """The first reference in the comment of a loss's YAML."""
    comment = " ".join(line.lstrip("# ") for line in (CONF / "loss" / f"{name}.yaml").read_text().splitlines())
    found = re.search(r"([A-ZŁ][^(;]*? \d{4}), ((?:arXiv|doi):[\w./()-]+\w|JMLR \d+)", comment)
    return f"{found[1].split('(')[-1]}, {found[2]}" if found else "–"


def report(rows: list[dict], directory: Path, seconds: float) -> None:
    """Print the table, and save it with the papers as Markdown."""
    title = f"{len({row['loss'] for row in rows})} losses in {seconds:.0f} s ({directory})"
    shown = Table("loss", "its critic estimates", "metric", "measured", "accepted", "", title=title)
    lines = {}
    for row in rows:
        cells = [row["metric"], row["measured"], row["accepted"]]
        shown.add_row(row["loss"], row["estimates"], *cells, "passed" if row["passed"] else "NOT passed")
        line = lines.setdefault(row["loss"], [f"`{row['loss']}`", row["paper"], row["estimates"], ""])
        line[3] += f"{', ' if line[3] else ''}{cells[0]} {cells[1]} ({cells[2]})"
    lines = [["loss", "paper", "its critic estimates", "measured (accepted)"], ["---"] * 4, *lines.values()]
    Console().print(shown)
    (directory / "truth.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
