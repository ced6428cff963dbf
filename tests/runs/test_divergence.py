"""Losses, gradients and weights that are not finite end a run, whoever observes it."""

import json
import re
from pathlib import Path

import pytest
import torch
from tiny_runs import DEFAULT_OBSERVERS, TINY_RUN

from gan_runner.observers.evaluation import Evaluation
from gan_runner.runs import divergence
from gan_runner.runs.divergence import check_weights, fetch
from gan_runner.runs.event import StepEvent

DIVERGING = [*TINY_RUN, "loss=lsgan", "optimizer.lr=1e20", "hydra.run.dir=run"]
ALL = [f"~observer.{name}" for name in DEFAULT_OBSERVERS]
LINE = r"gan-run: training diverged at step \d \(non-finite: .+\); (resume from .+, or )?start again with .+\n"


def status(path):
    return json.loads((Path(path) / "summary.json").read_text())["status"]


@pytest.mark.parametrize(
    "left_out", [[f"~observer.{name}"] for name in DEFAULT_OBSERVERS] + [ALL], ids=[*DEFAULT_OBSERVERS, "all"]
)
def test_divergence_is_detected_without_any_observer(gan_run, left_out):
    code, _, err = gan_run(*DIVERGING, *left_out, "objective=null")
    assert code == 3
    assert re.fullmatch(LINE, err), err
    assert status("run") == "diverged"


@pytest.mark.parametrize("every", [2, 0])
def test_a_failing_observer_does_not_hide_the_divergence(gan_run, monkeypatch, every):
    monkeypatch.setattr(Evaluation, "observe", lambda observer, event: 1 / 0)
    code, _, err = gan_run(*DIVERGING, f"trainer.log_every={every}")
    assert code == 3, err
    assert status("run") == "diverged"
    assert ("null" in Path("run/metrics.jsonl").read_text()) == bool(every)


@pytest.mark.parametrize("every", [3, 0])
def test_divergence_is_checked_at_the_log_interval_and_after_the_last_step(gan_run, monkeypatch, every):
    """And not in between: each look waits for the device."""
    looks = []
    to_numbers = divergence.to_numbers
    monkeypatch.setattr(divergence, "to_numbers", lambda values: looks.append(1) or to_numbers(values))
    line = [*TINY_RUN, *ALL, "objective=null", "trainer.steps=8", f"trainer.log_every={every}", "hydra.run.dir=run"]
    assert gan_run(*line)[0] == 0
    assert len(looks) == (3 if every else 1)
    code, _, err = gan_run(*line, "loss=lsgan", "optimizer.lr=1e20", "hydra.run.dir=other")
    assert code == 3
    assert f"diverged at step {every or 8} " in err


def test_divergence_of_seeds_is_detected_without_observers(gan_run):
    code, _, err = gan_run(*DIVERGING, *ALL, "objective=null", "seeds=2")
    assert code == 3
    assert re.fullmatch(LINE, err), err
    assert [status("run/0"), status("run/1")] == ["diverged", "diverged"]


def test_the_error_names_the_last_checkpoint(gan_run):
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 0
    code, _, err = gan_run("resume=run", "trainer.steps=8", "optimizer.lr=1e30")
    assert code == 3
    assert re.search(r"diverged at step 6 \(non-finite: .*\); resume from step 4 \(gan-run resume=run", err), err


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_single_non_finite_weight_is_detected(make_system, bad):
    system = make_system("model=mlp", "dataset=ring8", "model.generator.width=8")
    for look in (fetch, check_weights):
        event = StepEvent(1, {"loss": torch.tensor([1.0, 2.0])})
        look(system, event)
        assert event.non_finite == []
    assert fetch(system, event)["loss"] == 1.5
    with torch.no_grad():
        next(system.networks["generator"].parameters()).view(-1)[3] = bad
    for look in (fetch, check_weights):
        event = StepEvent(1, {"loss": torch.tensor(bad), "other": torch.tensor(0.0)})
        look(system, event)
        assert event.non_finite == (["loss", "generator weights"] if look is fetch else ["generator weights"])


@pytest.mark.parametrize(("scale", "found"), [(2.0, []), (0.5, ["generator/gradient_norm"])])
def test_gradients_that_overflow_in_fp16_are_no_divergence_while_the_scale_can_be_halved(make_system, scale, found):
    system = make_system("model=mlp", "dataset=ring8", "trainer.precision=fp16")
    for player in system.players:
        player.loss_scale = torch.tensor(scale)
        for parameter in player.parameters:
            parameter.grad = torch.full_like(parameter, float("inf") if player.name == "generator" else 0.0)
    event = StepEvent(1, {})
    assert ("generator/gradient_norm" in fetch(system, event)) == bool(found)
    assert event.values["generator/loss_scale"] == scale
    assert event.values["discriminator/gradient_norm"] == 0
    assert event.non_finite == found


@pytest.mark.parametrize("together", [False, True])
def test_gradient_norms_are_reported_only_for_players_that_moved(gan_run, together):
    """One that has not moved has none, and one that no longer moves has those of its last move."""
    phases = ["players.discriminator.updates={0: 1, 3: 0}", "players.generator.updates={0: 0, 2: 1}"]
    line = [*TINY_RUN, *phases, "trainer.log_every=1", "hydra.run.dir=run", *(["seeds=2"] if together else [])]
    code, _, err = gan_run(*line)
    assert code == 0, err
    lines = [json.loads(one) for one in Path("run", "0" if together else ".", "metrics.jsonl").read_text().splitlines()]
    reported = {
        one["step"]: [name for name in ("discriminator", "generator") if f"{name}/gradient_norm" in one]
        for one in lines
    }
    assert reported == {1: ["discriminator"], 2: ["discriminator"], 3: ["discriminator", "generator"], 4: ["generator"]}


def test_a_player_without_gradients_reports_no_norm(make_system):
    """Of none, torch makes a norm on the CPU, which cannot be stacked with values of a GPU."""
    assert not any(
        "gradient_norm" in name for name in fetch(make_system("model=mlp", "dataset=ring8"), StepEvent(1, {}))
    )
