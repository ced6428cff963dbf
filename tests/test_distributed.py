"""Several processes compute what one would: every method's step, and whole runs under torchrun."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from test_step import METHODS, moves, overrides, three_steps

from gan_runner import sharding
from gan_runner.build import build_parts
from gan_runner.config import resolve

RANKS = 2


def options_of(method):
    """What `three_steps` types for a method."""
    return (*overrides(*method), *moves(method[1], 2), "optimizer=sgd", "optimizer.lr=0.01")


def sharing(parts, rank):
    """The parts, which now play with their rows of each batch alone."""
    play = parts.play

    def shared(players, batches):
        with sharding.sharded(RANKS, rank):
            return play(players, ({name: sharding.share(x) for name, x in batch.items()} for batch in batches))

    parts.play = shared
    return parts


def build_shared(configs, rank, *options):
    """What `make_parts` is elsewhere."""
    return sharing(build_parts(configs[options]), rank)


def without_gather():
    import gan_runner.models.layers.minibatch_discrimination as layer

    return layer, "gather", lambda x: x


FAULTS = {"gather": without_gather}


def work(rank, meeting, configs, methods, folder):
    """One process: every method in turn, and what it came to."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=RANKS)
    torch.set_default_dtype(torch.float64)
    for number, method in enumerate(methods):
        torch.manual_seed(0)
        state, reports = three_steps(partial(build_shared, configs, rank), method, None)
        torch.save((state, reports), folder / f"{number}.{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(hydra_config, tmp_path_factory):
    """Where two processes left what each method came to."""
    folder = tmp_path_factory.mktemp("ranks")
    configs = {options_of(method): resolve(hydra_config(*options_of(method))) for method in METHODS}
    arguments = (folder / "meeting", configs, METHODS, folder)
    torch.multiprocessing.spawn(work, arguments, nprocs=RANKS)
    return folder


@pytest.mark.parametrize(("number", "method"), [*enumerate(METHODS)])
def test_two_processes_step_as_one(two_processes, make_parts, number, method):
    torch.set_default_dtype(torch.float64)
    try:
        alone, _ = three_steps(make_parts, method, None)
    finally:
        torch.set_default_dtype(torch.float32)
    for rank in range(RANKS):
        shared, _ = torch.load(two_processes / f"{number}.{rank}.pt", weights_only=False)
        worst = max((shared[k] - v).abs().max().item() for k, v in alone.items() if isinstance(v, torch.Tensor))
        print("WORST", worst, method)
        for name, value in alone.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(shared[name], value, rtol=1e-9, atol=1e-11, msg=lambda m: f"{name}: {m}")
            else:
                assert shared[name] == value
