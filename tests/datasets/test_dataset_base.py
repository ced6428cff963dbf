"""The order in which data is read: each sample once an epoch, each batch a function of seed and number."""

import itertools
import json
import time

import pytest
import torch

from gan_runner.datasets.base import Batches, Order, derive_seed, rng
from gan_runner.datasets.images import normalised


def indices(length, size, batches, seed=0, start=0):
    """What `batches` batches from number `start` on hold, one after the other."""
    order = Order(length, seed)
    return torch.cat([order.indices(number, size) for number in range(start, start + batches)])


@pytest.mark.parametrize(("length", "size"), [(12, 4), (10, 4), (7, 3), (5, 5), (3, 8), (2, 7), (1, 1), (1, 6)])
def test_every_sample_comes_exactly_once_an_epoch(length, size):
    epochs = indices(length, size, batches=3 * length).view(-1, length)  # 3 size epochs, across batches
    assert len(epochs) == 3 * size
    assert torch.equal(epochs.sort(1).values, torch.arange(length).expand_as(epochs))


def test_every_batch_is_full_across_the_ends_of_epochs():
    order = Order(10, seed=0)
    assert [len(order.indices(number, 7)) for number in range(20)] == [7] * 20


def test_epochs_are_fresh_permutations():
    epochs = indices(50, 50, batches=20)
    assert len({tuple(epoch.tolist()) for epoch in epochs.view(20, 50)}) == 20


def test_every_sample_is_equally_likely_to_come_first():
    first = torch.stack([Order(5, seed).indices(0, 1) for seed in range(2000)])
    counts = torch.bincount(first.flatten(), minlength=5)
    assert ((counts - 400).abs() < 5 * (2000 * 0.2 * 0.8) ** 0.5).all()


@pytest.mark.parametrize("start", [1, 4, 9])
def test_starting_anywhere_gives_the_same_batches(start):
    late = indices(10, 4, 12 - start, seed=3, start=start)
    assert torch.equal(late, indices(10, 4, 12, seed=3)[4 * start :])


def test_batches_may_be_asked_for_in_any_order():
    order = Order(10, seed=1)
    for number in (7, 0, 3, 7, 2):
        assert torch.equal(order.indices(number, 4), Order(10, seed=1).indices(number, 4))


def test_seeds_give_different_orders():
    assert len({tuple(Order(100, seed).indices(0, 100).tolist()) for seed in range(50)}) == 50


def test_the_order_does_not_touch_the_runs_random_numbers():
    before = torch.get_rng_state()
    indices(10, 4, batches=9)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("turns", "output"), [(1, 0xE220A8397B1DCDAF), (2, 0x6E789E6AA1B965F4), (3, 0x06C45D188009454F)]
)
def test_mix_is_splitmix64(turns, output):
    """The published first outputs from state 0; `mix` starts at seed · γ + constant, so take γ's inverse."""
    gamma, constant = 0x9E3779B97F4A7C15, 0x94D049BB133111EB
    seed = (turns * gamma - constant) * pow(gamma, -1, 2**64) % 2**64
    assert derive_seed(seed, 0) == output >> 1


def test_mix_tells_streams_and_numbers_apart():
    seeds = {derive_seed(seed, number) for seed, number in itertools.product(range(-100, 100), range(500))}
    assert len(seeds) == 200 * 500
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_mix_tells_apart_in_the_bits_that_a_generator_on_the_cpu_looks_at():
    low = {derive_seed(seed, number) % 2**32 for seed, number in itertools.product(range(30), range(30))}
    assert len(low) == 900


def test_neighbouring_streams_are_uncorrelated():
    draws = torch.stack([torch.randn(2000, generator=rng(0, number)) for number in range(20)])
    correlation = draws.corrcoef() - torch.eye(20)
    assert correlation.abs().max() < 5 / 2000**0.5


class Numbers:
    """Data whose batch is its number, and which counts the streams that were opened."""

    def stream(self, start, size, seed, rows):
        for number in itertools.count(start):
            yield {"data": torch.full((size,), number)[rows]}


def test_batches_count_what_they_gave_out_and_go_on_from_there():
    batches = Batches(Numbers(), size=3, seed=0)
    assert [int(next(batches)["data"][0]) for _ in range(4)] == [0, 1, 2, 3]
    assert batches.drawn == 4
    resumed = Batches(Numbers(), size=3, seed=0, drawn=batches.drawn)
    assert torch.equal(next(resumed)["data"], next(batches)["data"])
    assert iter(resumed) is resumed


class Slow:
    """Data whose batches take a hundredth of a second each."""

    def stream(self, start, size, seed, rows):
        while True:
            time.sleep(0.01)
            yield {}


def test_batches_know_how_long_they_were_waited_for():
    batches = Batches(Slow(), size=1, seed=0)
    began = time.perf_counter()
    list(itertools.islice(batches, 20))
    waited = time.perf_counter() - began
    assert 0.2 <= batches.waited_s <= waited
    time.sleep(0.05)
    assert batches.waited_s <= waited


@pytest.mark.parametrize(("slow", "low", "high"), [(False, 0, 0.2), (True, 0.6, 1)])
def test_that_the_summary_has_the_fraction_of_time_spent_waiting(gan_run, tmp_path, monkeypatch, slow, low, high):
    if slow:
        monkeypatch.setattr("gan_runner.datasets.images.normalised", slowly(normalised))
    line = ["dataset.image_size=8", "model.generator.width=4", "model.discriminator.width=4", "trainer.steps=20"]
    line += ["trainer.batch_size=8", "trainer.checkpoint_every=0"]
    line += ["trainer.sample_every=0", "metric=[]", "objective=null", "logger.mode=disabled", "hydra.run.dir=run"]
    code, _, err = gan_run(*line)
    assert code == 0, err
    assert low <= json.loads((tmp_path / "run" / "summary.json").read_text())["data_wait_fraction"] <= high


def slowly(function):
    """The function, a tenth of a second later."""

    def later(*arguments):
        time.sleep(0.1)
        return function(*arguments)

    return later
