"""Coming back: a run that was stopped ends as the one that never was."""

import io
import json
import os
import random
import signal
import sys

import pytest
import torch
import yaml
from conftest import thinned
from tiny_runs import PICTURE, RESUMED, TINY_RUN, assert_equal, outcome

import gan_runner.train
from gan_runner.config.documents import read_yaml
from gan_runner.datasets.images import ResidentImages
from gan_runner.players import Player
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.directory import mark_own


@pytest.mark.parametrize("method", thinned([*RESUMED], 2))
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(gan_run, tmp_path, monkeypatch, signal_in_step, method):
    """And nothing is initialised a second time, which may mean to train an encoder of sentences."""
    options = [*TINY_RUN, *RESUMED[method], "trainer.steps=7"]
    code, _, err = gan_run(*options, "hydra.run.dir=whole")
    assert code == 0, err

    signal_in_step(signal.SIGTERM, 5)
    code, _, err = gan_run(*options, "hydra.run.dir=parts")
    assert code == 128 + signal.SIGTERM
    assert err.splitlines()[-1].startswith("gan-run: stopped by SIGTERM after saving")
    summary = json.loads((tmp_path / "parts" / "summary.json").read_text())
    assert (summary["status"], summary["step"]) == ("interrupted", 5)
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:  # as a run leaves it that was killed later
        file.write('{"step": 6, "discriminator/adversarial": 7.0}\n{"step": 7, "torn')

    for module in [module for name, module in sys.modules.items() if name.startswith("gan_runner.games.")]:
        for game in vars(module).values():
            if isinstance(game, type) and "prepare" in vars(game):
                monkeypatch.delattr(game, "prepare")
    code, _, err = gan_run("resume=parts")
    assert code == 0, err
    assert_equal(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))
    assert json.loads((tmp_path / "parts" / "summary.json").read_text())["status"] == "completed"


def test_a_requeued_job_continues_in_its_own_directory(gan_run, tmp_path, signal_in_step):
    line = [*TINY_RUN, "hydra.run.dir=run"]
    signal_in_step(signal.SIGINT, 2)
    assert gan_run(*line)[0] == 128 + signal.SIGINT
    first = json.loads((tmp_path / "run" / "summary.json").read_text())
    code, _, err = gan_run(*line)  # the same line again
    assert code == 0, err
    second = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (first["step"], second["step"]) == (2, 4)
    assert first["wandb_id"] == second["wandb_id"]
    assert [line["step"] for line in outcome(tmp_path / "run")["metrics"]] == [2, 4]


def test_directory_of_another_run_is_refused(gan_run, finished_run, tmp_path):
    finished_run(*TINY_RUN)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run", "loss=hinge", "trainer.steps=8")
    assert code == 2
    assert "holds a run with another configuration" in err


def test_a_complete_run_says_so_and_can_be_trained_longer(gan_run, finished_run, tmp_path):
    finished_run(*TINY_RUN)
    code, out, _ = gan_run("resume=run")
    assert code == 0
    assert "is complete at step 4" in out
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 6
    assert outcome(tmp_path / "run")["checkpoints"]["last.pt"]["step"] == 6


def test_parts_of_a_resumed_run_cannot_change(gan_run, finished_run):
    finished_run(*TINY_RUN)
    code, _, err = gan_run("resume=run", "loss=hinge")
    assert code == 2
    assert "loss=hinge would change the parts" in err
    code, _, err = gan_run("resume=run", "trainer.steps=9", "model.generator.width=16")
    assert code == 2
    assert "the checkpoint does not fit the networks" in err


def test_options_of_a_resumed_run_can_change(gan_run, finished_run, tmp_path):
    finished_run(*TINY_RUN, "loss=wgan_gp")
    code, _, err = gan_run(
        "resume=run", "trainer.steps=6", "regularizer.gradient_penalty.weight=5", "optimizer.lr=1e-3"
    )
    assert code == 0, err
    assert "weight: 5" in (tmp_path / "run" / "config.yaml").read_text()
    overrides = (tmp_path / "run" / "overrides.yaml").read_text()
    assert "loss=wgan_gp" in overrides
    assert "trainer.steps=6" in overrides
    code, _, err = gan_run("resume=run", "trainer.stepz=9")
    assert code == 2
    assert "did you mean trainer.steps?" in err
    code, _, err = gan_run("resume=run", "trainer.steps=9", "hydra.run.dir=elsewhere")
    assert code == 2
    assert "a resumed run stays in its own directory; leave out hydra.run.dir=elsewhere" in err


def rates(run):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["generator/learning_rate"] for line in lines if "generator/learning_rate" in line]


def test_optimizer_of_a_resumed_run_takes_other_options(gan_run, tmp_path):
    scheduled = [*TINY_RUN, "scheduler=linear", "trainer.steps=8", "trainer.log_every=1", "optimizer.lr=1e-3"]
    assert gan_run(*scheduled, "hydra.run.dir=whole")[0] == 0
    code, _, err = gan_run(*scheduled, "scheduler.lr_lambda.steps=8", "trainer.steps=4", "hydra.run.dir=run")
    assert code == 0, err
    line = ["resume=run", "trainer.steps=8", "optimizer.lr=1e-1", "optimizer.betas=[0.1,0.2]"]
    code, _, err = gan_run(*line)
    assert code == 0, err
    whole, run = rates(tmp_path / "whole"), rates(tmp_path / "run")
    assert whole == pytest.approx([1e-3 * (1 - step / 8) for step in range(8)])  # the rates that the steps used
    assert run == pytest.approx([*whole[:4], *(100 * rate for rate in whole[4:])])
    players = load_checkpoint(tmp_path / "run/checkpoints/last.pt")["system"]["players"]
    assert [players[name]["optimizer"]["param_groups"][0]["betas"] for name in players] == [(0.1, 0.2)] * 2
    code, _, err = gan_run("resume=run", "trainer.steps=9", "optimizer._target_=torch.optim.RAdam")
    assert code == 2
    assert "whose state does not fit torch.optim.RAdam; start a new run" in err


def test_table_or_schedule_of_a_resumed_run_is_replaced(gan_run, tmp_path):
    updates, weight = "players.generator.updates", "players.generator.weights.adversarial"
    ramp = "{_target_: gan_runner.optimizers.schedules.ramp, _partial_: true, start: 0.25, end: 0.75, steps: 2}"
    code, _, err = gan_run(*TINY_RUN, f"{updates}={{0: 1, 2: 2}}", f"{weight}=0.5", "hydra.run.dir=run")
    assert code == 0, err
    for steps, table, number in ((6, "{0: 1, 5: 2}", ramp), (8, "2", "0.5")):
        code, _, err = gan_run("resume=run", f"trainer.steps={steps}", f"{updates}={table}", f"{weight}={number}")
        assert code == 0, err
        player = read_yaml(tmp_path / "run" / "config.yaml").players.generator
        assert [player.updates, player.weights.adversarial] == [yaml.safe_load(table), yaml.safe_load(number)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("resume=run/checkpoints/last.pt", "is a file; try resume="),
        ("resume=nowhere/at/all", "does not exist; give the directory of a run"),
        ("resume=sweep", "is the directory of a sweep; type its command again with hydra.sweep.dir="),
        ("resume=run trainer.steps=5,6", "resume= continues one run, but trainer.steps=5,6 has several values"),
        ("resume=part trainer.steps=2", "is already at step 4, beyond trainer.steps=2; choose more steps"),
        ("--config-dir own +experiment@_global_=again", "a file sets resume=run; type it on the command line instead"),
    ],
)
def test_a_resume_that_cannot_work_gets_one_clear_line(gan_run, finished_run, tmp_path, words, message):
    finished_run(*TINY_RUN)
    finished_run("-m", *TINY_RUN, "seed=0", name="sweep")
    finished_run(*TINY_RUN, name="part")
    (tmp_path / "part/summary.json").unlink()
    own = tmp_path / "own/experiment"
    own.mkdir(parents=True)
    (own / "again.yaml").write_text("# @package _global_\nresume: run\n")
    code, _, err = gan_run(*words.split())
    assert code == 2
    assert err.count("\n") == 1, err
    assert message in err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("words", ["++resume=run", "+resume=run", "resume='run'", 'resume="run"'])
def test_resume_is_recognised_in_every_spelling(gan_run, finished_run, words):
    finished_run(*TINY_RUN)
    code, out, _ = gan_run(words)
    assert code == 0
    assert "run is complete at step 4" in out


def test_run_killed_before_its_first_checkpoint_starts_over(gan_run, tmp_path):
    mark_own(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 2, "discriminator/adversarial": 7.0}\n{"st')
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 0
    assert [line["step"] for line in outcome(tmp_path / "run")["metrics"]] == [2, 4]


def test_signal_in_the_last_step_finds_the_run_complete(gan_run, tmp_path, signal_in_step):
    signal_in_step(signal.SIGTERM, 4)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "completed"


def test_a_run_killed_while_it_finishes_is_finished_when_typed_again(gan_run, finished_run, tmp_path):
    """All steps are done and saved; what it came to was not written down yet."""
    finished_run(*TINY_RUN, PICTURE, name="whole")
    run = tmp_path / "run"
    finished_run(*TINY_RUN, PICTURE)
    (run / "summary.json").unlink()
    for name in (".summary.json.1-a.partial", "samples/.training.gif.1-a.partial", "checkpoints/.last.pt.partial"):
        (run / name).write_bytes(b"half")
    (run / "checkpoints" / "step_0000001.pt").write_bytes(b"was to be removed")
    code, _, err = gan_run(*TINY_RUN, PICTURE, f"hydra.run.dir={run}")
    assert code == 0, err
    assert_equal(outcome(run), outcome(tmp_path / "whole"))
    assert not list(run.rglob("*.partial"))


def test_overrides_are_replaced_if_nothing_was_saved(gan_run, tmp_path):
    assert gan_run(*TINY_RUN, "trainer.checkpoint_every=1", "loss=hinge", "hydra.run.dir=run")[0] == 0
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 0
    assert "loss=hinge" not in (tmp_path / "run" / "overrides.yaml").read_text()


def test_no_file_of_a_run_is_overwritten_in_place(gan_run, tmp_path, monkeypatch):
    """Or it would be empty where the run is killed in that moment."""
    opened, opening = [], io.open

    def noting(file, mode="r", *arguments, **options):
        opened.append((os.fspath(file) if not isinstance(file, int) else "", mode))
        return opening(file, mode, *arguments, **options)

    monkeypatch.setattr(io, "open", noting)
    monkeypatch.setattr("builtins.open", noting)
    assert gan_run(*TINY_RUN, PICTURE, f"hydra.run.dir={tmp_path}/run")[0] == 0
    written = {path for path, mode in opened if "w" in mode and path.startswith(f"{tmp_path}/run/")}
    assert len(written) > 8
    assert {path for path in written if not path.endswith(".partial")} == set()


def test_a_resumed_run_has_no_summary_until_it_ends(gan_run, finished_run, tmp_path, monkeypatch):
    """A run that was killed has no summary, so another run must not report it as completed."""
    finished_run(*TINY_RUN)
    monkeypatch.setattr(gan_runner.train, "write_json", lambda *_: None)
    assert gan_run("resume=run", "trainer.steps=6")[0] == 0
    assert not (tmp_path / "run" / "summary.json").exists()


def test_the_same_seed_draws_the_same_numbers_whoever_draws(make_system):
    drawn = []
    for before in (1, 2):
        random.seed(before)
        make_system("model=mlp")
        drawn.append((random.random(), torch.rand(3).tolist()))
    assert drawn[0] == drawn[1]


BROKEN = {
    "middle": b'{"step": 2, "a": 1}\n{"step": 2, "b\n{"step": 4, "a": 3}\n',
    "no step": b'{"a": 1}\n[]\n{"step": 4, "a": 3}\n{"step": 4, "a": "3"}\n',
    "no text": b'\xff\n{"step": 4, "a": 3}\n',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_lines_of_metrics_are_skipped(gan_run, finished_run, tmp_path, caplog, content):
    finished_run(*TINY_RUN)
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_bytes(content)
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 0, err
    assert caplog.text.count("lines, which are broken") == 1
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert {"step": 4, "a": 3} in lines
    assert lines[-1]["step"] == 6
    assert all("step" in line for line in lines)


@pytest.mark.parametrize("content", [b"{a: [", b"5", b"{a: 1}", b"- {a: 1}", b"\xff", b"a: &a [*a]"])
def test_broken_overrides_are_treated_as_empty(gan_run, finished_run, tmp_path, caplog, content):
    finished_run(*TINY_RUN)
    overrides = tmp_path / "run" / "overrides.yaml"
    overrides.write_bytes(content)
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 0, err
    assert "it is treated as empty" in caplog.text
    assert overrides.read_text() == "- trainer.steps=6\n"


@pytest.mark.slow
def test_a_run_with_a_compiled_iteration_resumes(gan_run, tmp_path):
    line = [*TINY_RUN, "trainer.compile=iteration"]
    assert gan_run(*line, "trainer.steps=2", "scheduler=constant", "hydra.run.dir=run")[0] == 0
    code, _, err = gan_run("resume=run", "trainer.steps=4")
    assert code == 0, err
    state = load_checkpoint(tmp_path / "run/checkpoints/last.pt")["system"]["players"]["generator"]["scheduler"]
    assert state["_last_lr"] == [5e-4]
    assert all(isinstance(rate, float) for rate in state["_last_lr"])


DIGITS_RUN = [*TINY_RUN, "dataset=digits", "scheduler=linear", "metric=[]", "objective=null", "expected={}"]


def test_a_resumed_run_with_another_batch_size_goes_on_with_the_next_samples(gan_run, tmp_path, monkeypatch):
    """3 batches of 12 are followed by number 4 of 9, then by the next of 9; all samples are counted."""
    assert gan_run(*DIGITS_RUN, "trainer.steps=3", "trainer.batch_size=12", "hydra.run.dir=run")[0] == 0
    asked, stream = [], ResidentImages.stream
    monkeypatch.setattr(ResidentImages, "stream", lambda *arguments: asked.append(arguments[1:3]) or stream(*arguments))
    for steps, size, expected in ((5, 9, (4, 9)), (6, 9, (6, 9)), (7, 2, (32, 2))):
        code, _, err = gan_run("resume=run", f"trainer.steps={steps}", f"trainer.batch_size={size}")
        assert code == 0, err
        assert asked[-1] == expected
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["images_seen"] == 3 * 12 + 3 * 9 + 2


@pytest.mark.parametrize("changed", [[], ["optimizer.lr=0.001"]], ids=["same rate", "another rate"])
def test_the_first_step_after_the_end_of_a_shorter_schedule_has_a_rate(gan_run, tmp_path, monkeypatch, changed):
    """The run ends at rate 0. With 4 of 8 steps done, the linear schedule is at one half."""
    assert gan_run(*DIGITS_RUN, "trainer.steps=4", "optimizer.lr=0.002", "hydra.run.dir=run")[0] == 0
    rates, step = [], Player.step_optimizer

    def stepping(player, gradients):
        rates.append(player.optimizer.param_groups[0]["lr"])
        step(player, gradients)

    monkeypatch.setattr(Player, "step_optimizer", stepping)
    assert gan_run("resume=run", "trainer.steps=8", *changed)[0] == 0
    full = 0.001 if changed else 0.002
    assert rates[::2] == pytest.approx([full * share for share in (1 / 2, 3 / 8, 1 / 4, 1 / 8)])
