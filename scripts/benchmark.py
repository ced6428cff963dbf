#!/usr/bin/env python
"""Train the same games with gan-runner, hand-written loops and other packages, and compare their speed.

    python scripts/benchmark.py                                     all installed contestants, on one core
    python scripts/benchmark.py --games tiny dcgan32 --contestants bare runner iteration
    python scripts/benchmark.py --contestants runner deterministic  what trainer.deterministic=true costs
    python scripts/benchmark.py --quick                             a few short rounds, as a test
    python scripts/benchmark.py --check                             compare parameters and updates, without timing
    python scripts/benchmark.py --profile tiny runner               a trace for Perfetto, and the slowest operators

All contestants of a game run in one process, with the same networks, batches and optimizer. After a warm-up they take
turns: in each round every contestant trains the same number of iterations, in random order. Ratios are taken within a
round, so that other load on the machine affects all contestants alike; their median and range are reported. The script
writes table.md, benchmark.json and speed.png.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from contestants import (
    GAMES,
    Bare,
    BareFused,
    Contestant,
    Deterministic,
    Example,
    Iteration,
    Moves,
    NotSupported,
    Runner,
    Setting,
)
from peers import Lightning, TorchGAN, Vegans
from rich.console import Console
from rich.table import Table

from gan_runner.build import choose_device
from gan_runner.errors import ConfigError
from gan_runner.runs.environment import environment
from gan_runner.tools.activity import Activity

console = Console(markup=False)

CONTESTANTS: dict[str, type[Contestant]] = {
    "bare": Bare,
    "bare_fused": BareFused,
    "runner": Runner,
    "deterministic": Deterministic,
    "moves": Moves,
    "iteration": Iteration,
    "example": Example,
    "lightning": Lightning,
    "torchgan": TorchGAN,
    "vegans": Vegans,
}
SMALL = [name for name, game in GAMES.items() if not game.large]
EXACT = ("bare", "bare_fused", "runner", "deterministic", "moves", "iteration")
"""Contestants that draw the same noise in the same order, so that they end with the same parameters."""
COMPILED = ("moves", "iteration")


def main(arguments: list[str] | None = None) -> None:
    """Parse the options, measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--games", nargs="+", choices=GAMES, default=SMALL, metavar="GAME", help=f"games to train: {', '.join(GAMES)}"
    )
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME",
        help=f"who trains, the reference first: {', '.join(CONTESTANTS)}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=21, help="number of rounds (default 21)")
    parser.add_argument("--seconds", type=float, default=0.2, help="time of the reference in a round (default 0.2)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--cold", action="store_true", help="time compilation with an empty cache and with a full one")
    parser.add_argument("--quick", action="store_true", help="three rounds of 0.05 s")
    parser.add_argument("--check", action="store_true", help="compare parameters and updates instead of speed")
    parser.add_argument("--profile", nargs=2, metavar=("GAME", "NAME"), help="profile one contestant in one game")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmark"), help="directory of the results")
    options = parser.parse_args(arguments)
    try:
        choose_device(options.device)
    except ConfigError as error:
        parser.error(str(error).replace("trainer.device=", "--device "))
    if options.quick:
        options.rounds, options.seconds = 3, 0.05
    if options.cold:
        cache = tempfile.TemporaryDirectory()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.profile:
        profile(*options.profile, options)
    elif options.check:
        for name in options.games:
            check(name, options)
    else:
        rows: dict[str, dict[str, Any]] = {}
        for name in options.games:
            with Activity(f"timing {name}"):
                rows[name] = measure(name, options)
            report(rows, options)


def build_contestants(
    game: str, names: list[str], device: str, *overrides: str
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """The contestants that can train a game, and why the others cannot."""
    able, unable = {}, {}
    for name in names:
        try:
            torch.manual_seed(0)
            able[name] = CONTESTANTS[name](Setting(GAMES[game], device, *overrides))
        except NotSupported as error:
            unable[name] = str(error)
            console.print(f"{game}: {name} is left out: {error}")
    return able, unable


def close(contestants: dict[str, Contestant]) -> None:
    for contestant in contestants.values():
        contestant.close()
    contestants.clear()
    torch.compiler.reset()
    gc.collect()


def measure(game: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time all contestants in one game."""
    first_calls: dict[str, dict[str, float]] = {}
    compiled = [name for name in options.contestants if name in COMPILED]
    if options.cold:
        contestants, _ = build_contestants(game, compiled, options.device)
        first_calls["empty cache"] = {name: warm_up(contestant) for name, contestant in contestants.items()}
        close(contestants)
    contestants, unable = build_contestants(game, options.contestants, options.device)
    calls = {name: warm_up(contestant) for name, contestant in contestants.items()}
    first_calls["full cache" if options.cold else "cache not cleared"] = {
        n: s for n, s in calls.items() if n in compiled
    }
    verify_updates(contestants)
    reference = options.contestants[0]
    if reference in unable:
        raise SystemExit(f"{reference} is the reference, but cannot train {game}; name another contestant first")
    iterations = max(1, round(options.seconds / (contestants[reference].run(3) / 3)))
    for contestant in contestants.values():
        contestant.run(max(1, iterations // 2))
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order, shuffle = list(contestants), random.Random(0).shuffle
    for _ in range(options.rounds):
        shuffle(order)
        for name in order:
            seconds[name].append(contestants[name].run(iterations))
    close(contestants)
    speeds = {name: [r / own for r, own in zip(seconds[reference], seconds[name])] for name in seconds}
    row = {
        "title": GAMES[game].title,
        "overrides": list(GAMES[game].overrides),
        "reference": reference,
        "iterations_a_round": iterations,
        "iterations_per_s": iterations / statistics.median(seconds[reference]),
        "speed": {n: {"median": statistics.median(s), "min": min(s), "max": max(s)} for n, s in speeds.items()},
        "seconds": seconds,
        "first_calls_s": first_calls,
        "left_out": unable,
    }
    shown = ", ".join(f"{name} {cell(row, name)}" for name in speeds)
    console.print(f"{game} ({iterations} iterations a round): {shown}")
    return row


def warm_up(contestant: Contestant) -> float:
    """Seconds of the first three iterations, which compile graphs and create the state of optimizers."""
    started = time.perf_counter()
    contestant.run(3)
    return time.perf_counter() - started


def verify_updates(contestants: dict[str, Contestant]) -> None:
    """Check that all contestants update the same number of parameters equally often."""
    for name, contestant in contestants.items():
        counted, expected = contestant.counted_updates(), contestant.setting.updates()
        assert not contestant.plain or counted == expected, f"{name} makes updates {counted}, not {expected}"


def check(game: str, options: argparse.Namespace) -> None:
    """Check that exact contestants have the same parameters after two SGD iterations, and the others equal updates."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch._inductor.config.patch(fallback_random=True):  # draws the same random numbers as eager
            sgd = ("optimizer=sgd", "optimizer.lr=0.01")
            contestants, _ = build_contestants(
                game, [name for name in options.contestants if name in EXACT], options.device, *sgd
            )
            before = {name: contestant.setting.trained() for name, contestant in contestants.items()}
            for contestant in contestants.values():
                torch.manual_seed(1)
                contestant.run(2)
            after = {name: contestant.setting.trained() for name, contestant in contestants.items()}
            close(contestants)
    finally:
        torch.set_default_dtype(torch.float32)
    reference = next(iter(after))
    for name in after:
        assert torch.equal(before[name], before[reference]), f"{game}: {name} and {reference} start differently"
        assert not torch.allclose(after[name], before[name], atol=1e-4), f"{game}: {name} changes no parameter"
        difference = float((after[name] - after[reference]).abs().max())
        assert difference < 1e-6, f"{game}: {name} differs from {reference} by {difference:.1e}"
        console.print(f"{game}: {name} and {reference} end with the same parameters, to {difference:.0e}")
    contestants, _ = build_contestants(
        game, [name for name in options.contestants if name not in COMPILED], options.device
    )
    verify_updates(contestants)
    console.print(f"{game}: the same numbers of parameters and updates: {', '.join(contestants)}")
    close(contestants)


def profile(game: str, name: str, options: argparse.Namespace) -> None:
    """Profile ten iterations: write a trace for Perfetto, and a table of operators."""
    contestants, unable = build_contestants(game, [name], options.device)
    if unable:
        return
    contestants[name].run(20)
    with torch.profiler.profile(with_stack=False) as profiler:
        contestants[name].run(10)
    close(contestants)
    trace, table = options.out / f"{game}_{name}.json.gz", options.out / f"{game}_{name}.txt"
    profiler.export_chrome_trace(str(trace))
    events = profiler.key_averages()
    table.write_text(events.table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))
    console.print(table.read_text(), f"open {trace} at ui.perfetto.dev", soft_wrap=True)


def cell(row: dict[str, Any], name: str) -> str:
    """Median [min–max] of the speed, or a dash for a contestant that is left out."""
    speed = row["speed"].get(name)
    return f"{speed['median']:.2f} [{speed['min']:.2f}–{speed['max']:.2f}]" if speed else "–"


def report(rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the table, the numbers and the plot of all games so far."""
    reference, *others = options.contestants
    header = ["game", f"{reference}, iterations/s", *others]
    lines = [[row["title"], f"{row['iterations_per_s']:.3g}", *(cell(row, n) for n in others)] for row in rows.values()]
    title = f"median and range of {options.rounds} rounds"
    shown = Table("game", "contestant", f"speed relative to {reference}", title=title)
    for row in rows.values():
        shown.add_section()
        for place, name in enumerate(n for n in others if n in row["speed"]):
            shown.add_row("" if place else row["title"], name, cell(row, name))
    console.print(shown)
    text = [f"| {' | '.join(line)} |\n" for line in (header, ["---"] * len(header), *lines)]
    (options.out / "table.md").write_text("".join(text), encoding="utf-8")
    about = {
        **environment(torch.device(options.device), sys.argv),
        "processor": processor(),
        "cores": os.cpu_count(),
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()},
        "peers": {name: installed(name) for name in ("lightning", "torchgan", "vegans")},
        "games": rows,
    }
    (options.out / "benchmark.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    draw(rows, reference, others, options.out / "speed.png")
    for row in rows.values():
        for kind, calls in row["first_calls_s"].items():
            if calls:
                times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in calls.items())
                console.print(f"{row['title']}: first three iterations, {kind}: {times}")
    console.print(f"results are in {options.out}")


def processor() -> str:
    """The processor's name, as the system reports it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")  # Okabe & Ito's
MARKERS = "osD^vP*X"


def draw(rows: dict[str, dict[str, Any]], reference: str, names: list[str], path: Path) -> None:
    """Plot the median and range of the speed of each contestant in each game, on a log₂ axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure, axes = plt.subplots(figsize=(8.3, 0.9 + 0.95 * len(rows)), layout="constrained")
    for place, name in enumerate(names):
        offset = 0.35 - 0.7 * (place + 0.5) / len(names)
        points = [(i, row["speed"][name]) for i, row in enumerate(rows.values()) if name in row["speed"]]
        medians = [speed["median"] for _, speed in points]
        ranges = [[s["median"] - s["min"] for _, s in points], [s["max"] - s["median"] for _, s in points]]
        style = {"color": COLOURS[place % 8], "marker": MARKERS[place % 8], "linestyle": "none", "markersize": 6}
        heights = [len(rows) - 1 - i + offset for i, _ in points]
        axes.errorbar(medians, heights, xerr=ranges, label=name.replace("_", " "), elinewidth=1.5, **style)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    titles = [row["title"].replace(", WGAN-GP", "\nWGAN-GP") for row in rows.values()]
    axes.set_yticks(range(len(rows)), reversed(titles))
    for line in range(1, len(rows)):
        axes.axhline(line - 0.5, color="#dddddd", linewidth=0.8)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlabel(f"speed relative to {reference.replace('_', ' ')}: median and range of the rounds")
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning)
    main()
