"""Sweeps: as many runs as asked for, failures apart, and a table that says mean ± sd."""

import json
import statistics
from types import SimpleNamespace

import pytest
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.runs.sweep import aggregate_seeds, dots, report


def run(overrides, status="completed", best=1.0):
    summary = {"status": status, "best": {"fd": {"value": best, "step": 3}}, "final": {"loss": 2 * best}}
    return SimpleNamespace(overrides=overrides, outcome=summary)


def test_groups_by_everything_but_the_seed():
    rows = aggregate_seeds([run(["loss=a", f"seed={s}"], best=s) for s in (1, 2, 6)] + [run(["seed=1", "loss=b"])])
    assert [row["overrides"] for row in rows] == ["loss=a", "loss=b"]
    figure = rows[0]["metrics"]["best/fd"]
    assert figure == {"mean": 3.0, "sd": pytest.approx(statistics.stdev([1, 2, 6])), "n": 3, "values": [1, 2, 6]}
    assert rows[0]["metrics"]["loss"]["mean"] == 6.0
    assert rows[1]["metrics"]["best/fd"]["sd"] is None


def test_configurations_are_compared_with_the_best_mean(tmp_path, capsys):
    def measured(loss, seed, value):
        best = {"fd": {"value": value, "step": 3, "better": "min"}}
        final = {"metric/fd": value}
        outcome = {"status": "completed", "best": best, "final": final, "objective": "fd"}
        return SimpleNamespace(overrides=[f"loss={loss}", f"seed={seed}"], outcome=outcome)

    values = {"a": (1.0, 1.1, 0.9), "b": (1.05, 0.95, 1.2), "c": (5.0, 5.1, 4.9)}
    runs = [measured(loss, seed, value) for loss, found in values.items() for seed, value in enumerate(found)]
    report(tmp_path, runs)
    compared = [line for line in capsys.readouterr().out.splitlines() if line.startswith("metric/fd, ")]
    assert [line.partition(":")[0] for line in compared] == [
        "metric/fd, loss=b minus loss=a (best)",
        "metric/fd, loss=c minus loss=a (best)",
    ]
    assert "cannot be told apart with 3 against 3 seeds" in compared[0]
    assert ": +4, from +3." in compared[1]
    text = (tmp_path / "sweep.md").read_text()
    assert "| metric/fd | loss=c minus loss=a | +4, from +3." in text
    assert "standard deviation (n − 1)" in text
    rows = json.loads((tmp_path / "sweep.json").read_text())
    assert rows[2]["metrics"]["metric/fd"]["values"] == [5.0, 5.1, 4.9]


def test_dots_lie_between_the_ends():
    assert dots([0.0, 1.0], (0.0, 1.0), 5) == "•···•"
    assert dots([0.5], (0.0, 1.0), 5) == "··•··"
    assert dots([2.0], (2.0, 2.0), 3) == "•··"


def test_failed_runs_are_counted_and_not_averaged():
    (row,) = aggregate_seeds([run(["seed=0"]), run(["seed=1"], status="failed", best=99.0)])
    assert (row["runs"], row["completed"]) == (2, 1)
    assert row["metrics"]["best/fd"]["mean"] == 1.0


def test_the_table_shows_brackets(tmp_path, capsys):
    directory = tmp_path / "sweep[/of]"
    runs = [SimpleNamespace(**vars(run([f"regularizer=[{name}]"])), path=directory / name) for name in ("ema", "r1")]
    report(directory, runs)
    out = capsys.readouterr().out
    assert "sweep[/of])" in out
    assert "│ regularizer=[ema] │" in out
    assert "│ regularizer=[r1]  │" in out


@pytest.mark.parametrize("callback", ["runs.sweep.report", "plots.contact_sheet.runs_in"])
def test_a_sweep_whose_callback_fails_ends_with_exit_code_1(gan_run, monkeypatch, callback):
    def fail(*_):
        raise ValueError("no room on the page")

    monkeypatch.setattr(f"gan_runner.{callback}", fail)
    code, out, err = gan_run("-m", *TINY_RUN, "trainer.steps=1", "seed=0")
    assert code == 1
    assert err.splitlines()[-1] == "gan-run: ValueError: no room on the page"
    assert ("mean ± sd" in out) == (callback != "runs.sweep.report")  # the table does not need the picture


def test_a_glob_names_the_options_of_a_group_and_of_its_folders(gan_run):
    code, out, err = gan_run("-m", "experiment=glob(toy/b*)", "explain=true")
    assert code == 0, err
    assert "bilinear" in out
    code, _, err = gan_run("-m", "loss=glob(nothing*)")
    assert code == 2
    assert "loss=glob(nothing*) matches none of the options; choose from" in err


def test_six_runs_and_their_table(gan_run, tmp_path):
    code, out, err = gan_run("-m", *TINY_RUN, "loss=wgan_gp,hinge", "seed=0,1,2")
    assert code == 0, err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    summaries = {path.parent.name: json.loads(path.read_text()) for path in sweep.glob("*/summary.json")}
    assert sorted(summaries) == ["0", "1", "2", "3", "4", "5"]
    assert [summaries[str(i)]["seed"] for i in range(6)] == [0, 1, 2, 0, 1, 2]
    assert len({summary["wandb_id"] for summary in summaries.values()}) == 6
    rows = json.loads((sweep / "sweep.json").read_text())
    assert [row["completed"] for row in rows] == [3, 3]
    values = [summaries[str(i)]["best"]["sliced_wasserstein"]["value"] for i in range(3)]
    assert rows[0]["metrics"]["best/sliced_wasserstein"]["mean"] == pytest.approx(statistics.fmean(values))
    assert rows[0]["metrics"]["best/sliced_wasserstein"]["sd"] == pytest.approx(statistics.stdev(values))
    assert "mean ± standard deviation (n − 1) over seeds" in out
    assert (sweep / "sweep.md").read_text().split("\n\n")[1].count("\n") == 3  # a header and two configurations


def test_a_failing_run_does_not_end_the_sweep(gan_run, tmp_path):
    code, out, err = gan_run("-m", *TINY_RUN, "optimizer=sgd", "trainer.log_every=1", "optimizer.lr=1e30,1e-3")
    assert code == 1
    assert "training diverged at step 1 (non-finite: " in err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    status = [json.loads((sweep / n / "summary.json").read_text())["status"] for n in "01"]
    assert status == ["diverged", "completed"]
    assert "0 of 1" in out
    assert "1 of 1" in out


def test_a_failing_run_does_not_prevent_pictures_of_the_others(gan_run, tmp_path):
    code, out, err = gan_run("-m", *TINY_RUN, PICTURE, "optimizer=sgd", "optimizer.lr=1e30,1e-3,1e-4")
    assert code == 1, err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    assert (sweep / "samples.png").is_file()
    assert "0 of 1" in out


def test_the_pictures_of_a_sweep_need_no_table(gan_run, tmp_path):
    code, _, err = gan_run("-m", *TINY_RUN, PICTURE, "seed=0,1", "~hydra.callbacks.sweep_table")
    assert code == 0, err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    assert (sweep / "samples.png").is_file()
    assert not (sweep / "sweep.json").exists()


def test_a_bad_configuration_among_good_ones_is_reported_with_the_table(gan_run, tmp_path):
    code, out, _ = gan_run("-m", *TINY_RUN, "regularizer=[label_smoothing]", "loss=hinge,lsgan")
    assert code == 1
    assert "label_smoothing" in out
    assert "1 of 1" in out


def test_options_of_swept_parts_may_be_typed_for_all_of_them(gan_run, tmp_path):
    """Which only those parts have: the first of them stands for all where the sweep is composed."""
    line = [option for option in TINY_RUN if not option.startswith(("experiment", "model"))]
    line = ["-m", *line, "model=mlp", "dataset.std=0.2", "trainer.evaluate_every=0"]
    code, _, err = gan_run(*line, "dataset=grid25,ring8")
    assert code == 0, err
    code, _, err = gan_run(*line, "dataset=digits,ring8")
    assert code == 2
    assert "there is no option dataset.std" in err


def test_settings_of_swept_experiments_may_be_chosen_for_all_of_them(gan_run, tmp_path):
    experiments = "experiment=rosca2017/vae,rosca2017/dcgan"
    code, _, err = gan_run("-m", experiments, "setting/rosca@_global_=folder", f"dataset.root={tmp_path}")
    assert code == 2
    assert "needs at least two classes, and this dataset has fewer" in err  # the folder is empty, and was looked into


def test_a_list_of_parts_without_a_sweep_is_refused(gan_run):
    code, _, err = gan_run(*TINY_RUN, "loss=hinge,wgan")
    assert code == 2
    assert "--multirun" in err


def test_sweeper_gets_the_objective_as_a_float(gan_run, tmp_path, monkeypatch):
    (tmp_path / "spy.py").write_text(
        "from hydra.experimental.callback import Callback\n"
        "class Spy(Callback):\n"
        "    def on_job_end(self, config, job_return, **_):\n"
        "        open('returned.txt', 'a').write(repr(job_return.return_value) + '\\n')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, _, err = gan_run("-m", *TINY_RUN, "seed=0,1", "+hydra.callbacks.spy._target_=spy.Spy")
    assert code == 0, err
    returned = [float(line) for line in (tmp_path / "returned.txt").read_text().split()]
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    best = [json.loads((sweep / n / "summary.json").read_text())["best"]["sliced_wasserstein"]["value"] for n in "01"]
    assert returned == best


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers(gan_run, tmp_path, launcher):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    options = {"joblib": ["hydra.launcher.n_jobs=2"], "submitit_local": ["hydra.launcher.timeout_min=5"]}[launcher]
    code, out, err = gan_run("-m", *TINY_RUN, "seed=0,1", f"hydra/launcher={launcher}", *options)
    assert code == 0, err + out
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    assert [json.loads((sweep / n / "summary.json").read_text())["status"] for n in "01"] == ["completed"] * 2
    assert "2 of 2" in out
