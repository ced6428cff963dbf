"""Samples that are all alike are warned of."""

import json
from pathlib import Path

import pytest
import torch
from tiny_runs import TINY_RUN

from gan_runner.observers.collapse import spread


def test_spread_is_the_standard_deviation_and_does_not_know_the_mean():
    torch.manual_seed(0)
    x = 3 * torch.randn(100_000, 1, 2, 2) + 7
    assert spread(x) == pytest.approx(3 * 4**0.5, rel=0.01)
    assert spread(x[:5].mean(0, keepdim=True).expand(9, 1, 2, 2)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("bound", "warnings"), [(0.02, 0), (1e9, 1)])
def test_it_warns_once_with_the_figure(gan_run, caplog, bound, warnings):
    code, _, err = gan_run(*TINY_RUN, "trainer.sample_every=2", f"observer.collapse.bound={bound}", "hydra.run.dir=run")
    assert code == 0, err
    logged = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    spreads = [line["sample_spread"] for line in logged if "sample_spread" in line]
    assert len(spreads) == 2
    assert all(0.02 < value < 2 for value in spreads)
    messages = [message for message in caplog.messages if "almost equal" in message]
    assert len(messages) == warnings
    if warnings:
        assert f"with {spreads[0]:.2g} of the data's standard deviation" in messages[0]


def test_a_generator_that_makes_one_point_is_found_out(gan_run, caplog):
    line = ["dataset=gaussian", "model=gaussian", "model.generator.std=1e-4", "optimizer=sgd", "optimizer.lr=1e-9"]
    small = ["trainer.steps=4", "trainer.sample_every=4", "metric=[]", "objective=null", "logger.mode=disabled"]
    code, _, err = gan_run(*line, *small)
    assert code == 0, err
    assert any("almost equal" in message for message in caplog.messages)
