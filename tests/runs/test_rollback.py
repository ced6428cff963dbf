"""A run that diverges goes back, with other batches, so many times."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from tiny_runs import TINY_RUN, assert_equal, outcome

import gan_runner.train
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.event import Measurement
from gan_runner.runs.run import Run

LINE = [
    *TINY_RUN,
    "scheduler=constant",
    "trainer.steps=8",
    "trainer.checkpoint_every=2",
    "trainer.log_every=1",
    "trainer.on_divergence=rollback",
]


@pytest.fixture
def poisoned(monkeypatch):
    """In so many attempts, a weight becomes NaN in the n-th step of it; perhaps a signal comes, too."""
    build_system = gan_runner.train.build_system

    def arrange(attempts, n, signum=None):
        left = [attempts]

        def building(config):
            system = build_system(config)
            play, steps = system.update_scheme, [0]
            poison = left[0] > 0
            left[0] -= 1

            def stepping(*arguments):
                report = play(*arguments)
                steps[0] += 1
                if poison and steps[0] == n:
                    with torch.no_grad():
                        next(system.networks["generator"].parameters()).view(-1)[0] = float("nan")
                    if signum is not None:
                        os.kill(os.getpid(), signum)
                return report

            system.update_scheme = stepping
            return system

        monkeypatch.setattr(gan_runner.train, "build_system", building)

    return arrange


def lines():
    return [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]


def test_a_rollback_continues_from_the_last_checkpoint_with_other_batches(gan_run, poisoned):
    assert gan_run(*LINE, "hydra.run.dir=run")[0] == 0
    whole = lines()
    for path in Path("run").rglob("*"):
        if path.is_file() and path.name != "environment.json":  # which marks the directory of a run
            path.unlink()
    poisoned(attempts=1, n=5)
    code, _, err = gan_run(*LINE, "hydra.run.dir=run")
    assert code == 0, err
    (line,) = [line for line in err.splitlines() if "back to the last checkpoint" in line]
    assert line.startswith("training diverged at step 5 (non-finite: generator weights); ")
    assert line.endswith("with the data in another order (rollback 1 of 3)")
    assert line in Path("run/run.log").read_text()
    summary = json.loads(Path("run/summary.json").read_text())
    assert (summary["status"], summary["step"], summary["rollbacks"]) == ("completed", 8, 1)
    found = lines()
    assert [line["step"] for line in found] == [*range(1, 9)]
    loss = "discriminator/adversarial"
    assert [line[loss] for line in found[:4]] == [line[loss] for line in whole[:4]]
    assert all(a[loss] != b[loss] for a, b in zip(found[4:], whole[4:]))


def test_a_signal_stops_a_run_before_a_rollback(gan_run, poisoned):
    poisoned(attempts=1, n=5, signum=signal.SIGTERM)
    code, _, err = gan_run(*LINE, "hydra.run.dir=run")
    assert code == 128 + signal.SIGTERM
    assert "Back to" not in err
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["step"] == 4
    code, _, err = gan_run("resume=run")
    assert code == 0, err
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["step"] == 8


def test_the_best_checkpoint_does_not_come_from_discarded_steps(gan_run, poisoned, monkeypatch):
    record = Run.record

    def staged(self, event):  # the best but one is saved, the best is not
        value = {2: 2.0, 3: 1.0, 5: 0.1}.get(event.step, 9.0) if not self.rollbacks else 9.0
        event.measurements = {name: Measurement(value, min) for name in event.measurements}
        record(self, event)

    monkeypatch.setattr(Run, "record", staged)
    poisoned(attempts=1, n=6)
    assert gan_run(*LINE, "trainer.evaluate_every=1", "trainer.checkpoint_every=4", "hydra.run.dir=run")[0] == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["rollbacks"] == 1
    assert summary["best"]["sliced_wasserstein"]["step"] == 3
    assert load_checkpoint(Path("run/checkpoints/best.pt"))["step"] == 3
    assert not list(Path("run/checkpoints").glob("best_*.pt"))


def test_without_a_checkpoint_a_rollback_starts_anew(gan_run, poisoned):
    poisoned(attempts=2, n=1)
    code, _, err = gan_run(*LINE, "hydra.run.dir=run")
    assert code == 0, err
    assert json.loads(Path("run/summary.json").read_text())["rollbacks"] == 2


def test_the_number_of_rollbacks_is_limited(gan_run, poisoned):
    poisoned(attempts=99, n=3)
    code, _, err = gan_run(*LINE, "trainer.rollbacks=2", "hydra.run.dir=run")
    assert code == 3
    assert "(after 2 rollbacks); " in err.splitlines()[-1]
    assert json.loads(Path("run/summary.json").read_text())["status"] == "diverged"
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["step"] == 6  # three times two steps, each saved


def test_a_run_resumed_after_a_rollback_keeps_its_new_order_of_data(gan_run, poisoned, signal_in_step, tmp_path):
    poisoned(attempts=1, n=3)
    assert gan_run(*LINE, "hydra.run.dir=whole")[0] == 0
    poisoned(attempts=1, n=3)
    assert gan_run(*LINE, "trainer.steps=6", "hydra.run.dir=parts")[0] == 0
    assert load_checkpoint(Path("parts/checkpoints/last.pt"))["rollbacks"] == 1
    assert gan_run("resume=parts", "trainer.steps=8")[0] == 0
    system, whole = (outcome(tmp_path / name)["checkpoints"]["last.pt"]["system"] for name in ("parts", "whole"))
    assert_equal(system, whole)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("trainer.on_divergence=retry", "trainer.on_divergence=retry"),
        ("trainer.rollbacks=0", "must be at least 1"),
        ("seeds=2", "does not work with seeds="),
    ],
)
def test_rollbacks_that_cannot_work_are_refused(gan_run, option, message):
    code, _, err = gan_run(*LINE, option)
    assert code == 2
    assert message in err
