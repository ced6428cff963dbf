"""`seeds=…`, typed: a directory a seed, with the figures of its own run."""

import json

import pytest
from conftest import thinned
from tiny_runs import assert_equal, outcome

from gan_runner.observers.collapse import Collapse
from gan_runner.plots.trajectories import NAME, read_trajectory
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.run import Run

SMALL = [
    *("experiment=smoke", "logger.mode=disabled", "trainer.steps=6", "trainer.log_every=2", "trainer.sample_every=0"),
    *("trainer.evaluate_every=3", "trainer.checkpoint_every=3"),
]


def lines(path):
    timed = ("steps_per_second", "elapsed_s")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in timed} for record in records]


def test_each_seed_has_the_metrics_of_a_separate_run(gan_run, tmp_path):
    code, out, err = gan_run(*SMALL, "seed=4", "seeds=2", "hydra.run.dir=both")
    assert (code, err) == (0, "")
    assert "seed 4: both/0\nseed 5: both/1\n" in out
    assert "2 of 2" in out
    for number, seed in enumerate((4, 5)):
        assert gan_run(*SMALL, f"seed={seed}", f"hydra.run.dir=own{seed}")[0] == 0
        both, own = (lines(tmp_path / folder / "metrics.jsonl") for folder in (f"both/{number}", f"own{seed}"))
        assert [record.keys() for record in both] == [record.keys() for record in own]
        for found, expected in zip(both, own):
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
        summary = json.loads((tmp_path / f"both/{number}/summary.json").read_text())
        assert (summary["status"], summary["seed"], summary["step"]) == ("completed", seed, 6)
    rows = json.loads((tmp_path / "both/sweep.json").read_text())
    assert rows[0]["completed"] == 2


def test_a_seed_resumes_alone(gan_run, finished_run, tmp_path):
    finished_run(*SMALL, "seeds=[1,7]", name="both")
    assert gan_run("resume=both/1", "trainer.steps=8")[0] == 0
    summary = json.loads((tmp_path / "both/1/summary.json").read_text())
    assert (summary["seed"], summary["step"]) == (7, 8)


def test_all_seeds_resume_together(gan_run, finished_run, tmp_path):
    finished_run(*SMALL, "seeds=2", "scheduler=constant", name="both")
    assert gan_run("resume=both", "trainer.steps=12")[0] == 0
    assert gan_run(*SMALL, "seed=1", "scheduler=constant", "trainer.steps=12", "hydra.run.dir=own")[0] == 0
    for found, expected in zip(lines(tmp_path / "both/1/metrics.jsonl"), lines(tmp_path / "own/metrics.jsonl")):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    code, _, err = gan_run("resume=both/1", "seeds=3")
    assert (code, "would change the parts of the resumed run" in err) == (2, True)


@pytest.mark.parametrize(("step", "again"), thinned([(3, True), (6, False), (3, False)], 3))
def test_seeds_killed_when_only_one_was_saved_resume_together(
    gan_run, finished_run, tmp_path, monkeypatch, step, again
):
    """From the step before, at which all were: as if nothing had been."""
    finished_run(*SMALL, "seeds=2", name="whole")
    save = Run.save

    def killed(run, path):
        if (run.config.seed, run.step) == (1, step):
            raise RuntimeError("killed")
        save(run, path)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", killed)
        assert gan_run(*SMALL, "seeds=2", "hydra.run.dir=both")[0] == 1
    code, _, err = gan_run(*([*SMALL, "seeds=2", "hydra.run.dir=both"] if again else ["resume=both"]))
    assert code == 0, err
    for number in range(2):
        both, whole = (outcome(tmp_path / name / str(number)) for name in ("both", "whole"))
        assert_equal(both, whole)


@pytest.mark.slow
def test_seeds_with_scalar_parameters_resume(gan_run):
    line = ["dataset=parallel_lines", "model=line", "metric=[]", "objective=null", "logger.mode=disabled", "seeds=2"]
    small = [*line, "model.discriminator.width=8", "trainer.evaluate_every=0", "trainer.sample_every=0"]
    assert gan_run(*small, "trainer.steps=3", "scheduler=constant", "hydra.run.dir=both")[0] == 0
    assert gan_run("resume=both", "trainer.steps=6")[0] == 0


def test_complete_seeds_say_so_when_typed_again(gan_run, finished_run):
    finished_run(*SMALL, "seeds=2", name="both")
    code, out, _ = gan_run(*SMALL, "seeds=2", "hydra.run.dir=both")
    assert code == 0
    assert out.count("is complete at step 6") == 2


def test_seeds_in_a_sweep_are_one_row_per_configuration(gan_run, tmp_path):
    assert gan_run("-m", *SMALL, "seeds=2", "loss=hinge,lsgan", "hydra.sweep.dir=sweep")[0] == 0
    rows = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert [(row["completed"], row["runs"]) for row in rows] == [(2, 2), (2, 2)]


def test_a_seed_that_diverges_ends_and_is_reported(gan_run, tmp_path):
    code, _, err = gan_run(*SMALL, "seeds=2", "optimizer.lr=1e30", "hydra.run.dir=both")
    assert code == 3
    assert "non-finite" in err
    for number in range(2):
        assert json.loads((tmp_path / f"both/{number}/summary.json").read_text())["status"] == "diverged"


BAD = {
    "seeds=0": "seeds=0 must be a number of seeds",
    "seeds=[1,1]": "must be a number of seeds, such as 8, or a list",
    "seeds=many": "must be a number of seeds",
    "trainer.compile=iteration": "trainer.compile=iteration does not work with seeds=",
    "trainer.precision=fp16": "does not work with seeds=, whose loss scales differ; choose bf16",
    "optimizer._target_=torch.optim.Adafactor": "Adafactor",
}


@pytest.mark.parametrize(("option", "message"), BAD.items())
def test_options_that_do_not_work_with_seeds_are_refused(gan_run, tmp_path, option, message):
    code, _, err = gan_run(*SMALL, "seeds=2", option, "hydra.run.dir=both")
    assert code == 2
    assert message in err
    assert not (tmp_path / "both").exists()


def test_observers_of_every_step_observe_every_step_of_several_seeds(gan_run, tmp_path):
    line = ["game=bilinear", "trainer.steps=10", "trainer.evaluate_every=0", "trainer.log_every=5"]
    assert gan_run(*line, "seeds=2", "hydra.run.dir=both", "logger.mode=disabled")[0] == 0
    assert gan_run(*line, "seed=1", "hydra.run.dir=own", "logger.mode=disabled")[0] == 0
    both, own = (read_trajectory(tmp_path / folder / NAME) for folder in ("both/1", "own"))
    assert [row[0] for row in both] == [row[0] for row in own] == list(range(11))
    assert both[-1] == pytest.approx(own[-1], rel=1e-4)


def test_if_a_seed_fails_all_are_saved_and_resume(gan_run, tmp_path, monkeypatch):
    look = Collapse.__call__

    def fail(observer, event):
        if event.step == 4 and observer.run.config.seed == 1:
            raise ZeroDivisionError("no figure")
        look(observer, event)

    monkeypatch.setattr(Collapse, "__call__", fail)
    code, _, err = gan_run(*SMALL, "seeds=2", "hydra.run.dir=both")
    assert code == 1
    assert err.endswith("gan-run: ZeroDivisionError: no figure\n")
    assert [load_checkpoint(tmp_path / f"both/{n}/checkpoints/last.pt")["step"] for n in range(2)] == [4, 4]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert gan_run("resume=both")[0] == 0
