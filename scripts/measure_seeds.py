#!/usr/bin/env python
"""Measure how much faster several seeds train in one vectorised step (`seeds=8`) than one after the other.

    python scripts/measure_seeds.py                              eight seeds of a small game
    python scripts/measure_seeds.py --seeds 4 model=dcgan        another configuration, by overrides as for gan-run

In one process four ways take turns: one seed, eager and compiled, and all seeds in one step, eager and compiled. The
table gives steps per second, counted over all seeds, and the speed relative to one seed after the other, eager: the
median, minimum and maximum ratio of a round. Compilation time is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from gan_runner.build import build_system
from gan_runner.compile import compile_moves, full_graph
from gan_runner.config.compose import compose_config
from gan_runner.config.resolve import register, resolve
from gan_runner.datasets.base import Batches
from gan_runner.multiseed.stack import Stack
from gan_runner.runs.checkpoints import random_state
from gan_runner.system import System
from gan_runner.tools.activity import Activity

SMALL = [
    *("dataset=ring8", "model=mlp", "trainer.batch_size=32"),
    *("model.generator.width=16", "model.discriminator.width=16"),
]


def main() -> None:
    """Measure all ways and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("overrides", nargs="*", help=f"configuration (default {' '.join(SMALL)})")
    arguments.add_argument("--seeds", type=int, default=8, help="number of seeds (default 8)")
    arguments.add_argument("--rounds", type=int, default=11, help="number of rounds (default 11)")
    arguments.add_argument("--steps", type=int, default=50, help="steps in a round (default 50)")
    options = arguments.parse_args()
    register()
    typed = options.overrides or SMALL
    contestants = {
        "one after the other, eager": single_step(typed, compiled=False),
        "one after the other, compiled": single_step(typed, compiled=True),
        "vectorised, eager": vectorised_step(typed, options.seeds, compiled=False),
        "vectorised, compiled": vectorised_step(typed, options.seeds, compiled=True),
    }
    seeds_a_step = dict(zip(contestants, (1, 1, options.seeds, options.seeds)))
    with Activity("compiling"):
        for step in contestants.values():
            for _ in range(12):
                step()
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    with Activity("measuring", options.rounds, "rounds") as activity:
        for activity.done in range(options.rounds):
            for name, step in contestants.items():
                started = time.perf_counter()
                for _ in range(options.steps):
                    step()
                rates[name].append(options.steps * seeds_a_step[name] / (time.perf_counter() - started))
    reference = next(iter(rates.values()))
    print(f"{options.seeds} seeds of {' '.join(typed)}; {torch.get_num_threads()} threads\n")
    print("| | steps/s, over all seeds | relative to the first row: median (min – max) |\n| --- | --- | --- |")
    for name, own in rates.items():
        ratios = [rate / one for rate, one in zip(own, reference)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"
        print(f"| {name} | {statistics.median(own):,.0f} | {spread} |")


def system_of(typed: list[str], seed: int) -> tuple[System, Batches]:
    """A system initialised from data, and its batches."""
    config = resolve(compose_config([*typed, "trainer.channels_last=false", f"seed={seed}"]))
    system = build_system(config)
    data = system.dataset.load(system.device)
    system.game.prepare(system.networks, data.real(config.trainer.batch_size))
    return system, Batches(data, config.trainer.batch_size, seed)


def single_step(typed: list[str], compiled: bool) -> Callable[[], object]:
    """A training step of one seed."""
    system, batches = system_of(typed, 0)
    if compiled:
        system.update_scheme = compile_moves(system.update_scheme, system.players)
    return partial(system.step, batches)


def vectorised_step(typed: list[str], seeds: int, compiled: bool) -> Callable[[], object]:
    """A training step of all seeds."""
    system, batches, states = [], [], []
    for seed in range(seeds):
        own, stream = system_of(typed, seed)
        system.append(own)
        batches.append(stream)
        states.append(random_state(own.device))
    whole, example = system_of(typed, 0)
    stack = Stack(system, whole, states, next(example), *([full_graph] if compiled else []))
    return partial(stack.step, batches)


if __name__ == "__main__":
    main()
