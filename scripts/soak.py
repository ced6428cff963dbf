#!/usr/bin/env python
"""Train a small game for a long time with everything switched on, and report leaks of memory, files, threads and time.

    python scripts/soak.py                          100,000 steps
    python scripts/soak.py --steps 5000 --wandb     with W&B offline, too
    python scripts/soak.py loss=wgan_gp             with other options

The script prints a Markdown table of ten parts of the run: resident memory (median), open file descriptors and threads
(maximum), bytes of metrics.jsonl per step, steps per second of CPU time (which other load on the machine does not
change) and of wall-clock time. The exit code is 1 if the last part has 5 % more memory, 5 % more bytes per step, or
more descriptors or threads than the second, or if the rate (median of three parts) has fallen by a quarter.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

PARTS = 10
LINE = (
    *(
        "model=mlp",
        "model.generator.width=32",
        "model.discriminator.width=32",
        "dataset=digits",
        "dataset.image_size=8",
    ),
    *("regularizer=[ema,diff_augment]", "metric=[sliced_wasserstein,precision_recall]", "extractor.steps=100"),
    *("observer.evaluation.samples=500", "trainer.batch_size=16", "trainer.compile=false"),
)


class File:
    """A growing `metrics.jsonl`.

    Args:
        path: path of the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self.bytes = 0
        self.step = 0

    def read(self) -> None:
        """Read the lines that were added. Lines begin with the step."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.bytes)
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self.bytes += len(whole) + 1
                self.step = int(whole.splitlines()[-1].split(b":")[1].split(b",")[0])


def watch(line: list[str], run: Path, steps: int) -> list[dict[str, float]]:
    """Run a command to its end, and return the measurements of each part."""
    log, rows, samples, file = run.with_suffix(".txt"), [], [], File(run / "metrics.jsonl")
    with log.open("w") as output, subprocess.Popen(line, stdout=output, stderr=output) as process:
        looked, before = psutil.Process(process.pid), (0, 0, 0.0, 0.0)
        while process.poll() is None:
            time.sleep(0.1)
            file.read()
            try:
                times = looked.cpu_times()
                now = (file.step, file.bytes, times.user + times.system, time.monotonic())
                samples.append((looked.memory_info().rss / 1e6, looked.num_fds(), looked.num_threads()))
            except psutil.NoSuchProcess:
                break
            if file.step == 0:  # setup
                before, samples = now, []
            if file.step * PARTS >= steps * (len(rows) + 1):
                rows.append(row(samples, before, now))
                before, samples = now, []
                print(shown(len(rows), rows[-1]), flush=True)
    if process.returncode or len(rows) < PARTS:
        raise SystemExit(
            f"the run ended with exit code {process.returncode} in part {len(rows) + 1}: {log.read_text()}"
        )
    return rows


def row(samples: list[tuple[float, int, int]], before: tuple[Any, ...], now: tuple[Any, ...]) -> dict[str, float]:
    """The measurements of one part."""
    memory, files, threads = zip(*samples)
    steps, size, cpu, clock = (b - a for a, b in zip(before, now))
    return {
        "memory": statistics.median(memory), "files": max(files), "threads": max(threads),
        "bytes": size / steps, "rate": steps / cpu, "clock": steps / clock,
    }  # fmt: skip


def shown(number: int, row: dict[str, float]) -> str:
    return (
        f"| {number} | {row['memory']:.1f} | {row['files']:.0f} | {row['threads']:.0f} | {row['bytes']:.2f} | "
        f"{row['rate']:.0f} | {row['clock']:.0f} |"
    )


def grown(rows: list[dict[str, float]]) -> list[str]:
    """The names of the measurements that grow."""
    second, last = rows[1], rows[-1]
    before, after = (statistics.median(row["rate"] for row in some) for some in (rows[1:4], rows[-3:]))
    bounds = {
        "memory": last["memory"] > 1.05 * second["memory"],
        "file descriptors": last["files"] > second["files"],
        "threads": last["threads"] > second["threads"],
        "bytes of metrics.jsonl per step": last["bytes"] > 1.05 * second["bytes"],
        "seconds per step": after < 0.75 * before,
    }
    return [name for name, beyond in bounds.items() if beyond]


def main() -> None:
    """Run the game and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000, help="training steps (default 100,000)")
    parser.add_argument("--wandb", action="store_true", help="log to W&B, offline")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides of the configuration")
    options = parser.parse_args()
    every = max(options.steps // 50, 1)
    cadence = {"sample": every, "evaluate": every, "checkpoint": max(every // 2, 1), "log": max(every // 40, 1)}
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        run = Path(folder) / "run"
        line = [
            *(sys.executable, "-m", "gan_runner", *LINE, f"hydra.run.dir={run}", f"trainer.steps={options.steps}"),
            *(f"trainer.{name}_every={steps}" for name, steps in cadence.items()),
            *(f"logger.mode={'offline' if options.wandb else 'disabled'}", *options.overrides),
        ]
        print("| part | MB | descriptors | threads | bytes/step | steps/CPU s | steps/s |")
        print("|" + " --- |" * 7, flush=True)
        rows = watch(line, run, options.steps)
    if growing := grown(rows):
        sys.exit(f"these grow from the second part to the last: {', '.join(growing)}")


if __name__ == "__main__":
    main()
