#!/usr/bin/env python
"""How much faster several seeds are side by side (`seeds=8`) than one after the other.

    python scripts/measure_seeds.py                              eight seeds of a small game
    python scripts/measure_seeds.py --seeds 4 model=dcgan        others, by overrides as for gan-run

In one process, in turn: one seed, eager and compiled, and all seeds as one step, eager and compiled. The table gives
steps a second of all seeds together, and how often that is what one seed after the other makes: the median of the
ratios of the rounds, the least and the greatest. Compilation is not counted.
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

SMALL = [
    *("dataset=ring8", "model=mlp", "trainer.batch_size=32"),
    *("model.generator.width=16", "model.discriminator.width=16"),
]


def main() -> None:
    """Measure, tell."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("overrides", nargs="*", help=f"default: {' '.join(SMALL)}")
    arguments.add_argument("--seeds", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--steps", type=int, default=50, help="in a round")
    options = arguments.parse_args()
    register()
    typed = options.overrides or SMALL
    contestants = {
        "one after the other, eager": alone(typed, compiled=False),
        "one after the other, compiled": alone(typed, compiled=True),
        "side by side, eager": together(typed, options.seeds, compiled=False),
        "side by side, compiled": together(typed, options.seeds, compiled=True),
    }
    seeds_a_step = dict(zip(contestants, (1, 1, options.seeds, options.seeds)))
    for step in contestants.values():
        for _ in range(12):
            step()
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, step in contestants.items():
            started = time.perf_counter()
            for _ in range(options.steps):
                step()
            rates[name].append(options.steps * seeds_a_step[name] / (time.perf_counter() - started))
    reference = next(iter(rates.values()))
    print(f"{options.seeds} seeds of {' '.join(typed)}; {torch.get_num_threads()} threads\n")
    print("| | steps of a seed a second | against the first: median (least – greatest) |\n| --- | --- | --- |")
    for name, own in rates.items():
        ratios = [rate / one for rate, one in zip(own, reference)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"
        print(f"| {name} | {statistics.median(own):,.0f} | {spread} |")


def system_of(typed: list[str], seed: int) -> tuple[System, Batches]:
    """What plays, ready, and its batches."""
    config = resolve(compose_config([*typed, "trainer.channels_last=false", f"seed={seed}"]))
    system = build_system(config)
    data = system.dataset.load(system.device)
    system.game.prepare(system.networks, data.real(config.trainer.batch_size))
    return system, Batches(data, config.trainer.batch_size, seed)


def alone(typed: list[str], compiled: bool) -> Callable[[], object]:
    """A step of one seed."""
    system, batches = system_of(typed, 0)
    if compiled:
        system.update_scheme = compile_moves(system.update_scheme, system.players)
    return partial(system.step, batches)


def together(typed: list[str], seeds: int, compiled: bool) -> Callable[[], object]:
    """A step of all."""
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
