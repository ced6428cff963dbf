"""scripts/reproduce.py reads completed runs, checks them against the current bounds, and runs what is missing."""

import json
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_runner.config.paths import CONF

SCRIPTS = Path(__file__).parent.parent / "scripts"
EXPECTED = {
    "author2020/toy": "{modes: {published: 8, spread: 0.5, at_least: 7}, wasserstein: {at_most: 0.1}}",
    "author2020/huge": "{fid: {at_most: 10}}",
    "author2021/other": "{modes: {at_least: 1}}",
    "truth/loss": "{modes: {at_least: 1}}",
    "compares/method": "{modes: {}}",
    "promises_nothing": "null",
}


@pytest.fixture
def reproduce(monkeypatch, tmp_path):
    """The script with a few experiments. It records the runs that it would start."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import reproduce

    for name, expected in EXPECTED.items():
        path = tmp_path / "experiment" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"expected: {expected}\nfull_scale: {str(name.endswith('huge')).lower()}\n")
    monkeypatch.setattr(reproduce, "EXPERIMENTS", tmp_path / "experiment")
    reproduce.started = []
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: reproduce.started.append(command[3:]))
    yield reproduce
    sys.modules.pop("reproduce")


def plant(out, name, seed, final, status="completed"):
    """Write the summary of a run."""
    folder = out / name / str(seed)
    folder.mkdir(parents=True)
    summary = {"status": status, "step": 5000, "elapsed_s": 120.0 * (seed + 1), "best": {}, "final": final}
    (folder / "summary.json").write_text(json.dumps(summary))


def run_script(reproduce, monkeypatch, tmp_path, *line):
    """The exit code of a command, and the rows of its table."""
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--out", str(out), "--jobs", "1", *line])
    with pytest.raises(SystemExit) as exit_:
        reproduce.main()
    table = out / "reproduce.md"
    lines = [line.strip("| ").split(" | ") for line in table.read_text().splitlines()] if table.exists() else []
    return exit_.value.code, [dict(zip(lines[0], line)) for line in lines[2:]]


def test_rows_have_mean_and_deviation_over_seeds_and_a_verdict(reproduce, monkeypatch, tmp_path):
    out = tmp_path / "out"
    plant(out, "author2020/toy", 0, {"metric/modes": 8.0, "metric/wasserstein": 0.05})
    plant(out, "author2020/toy", 1, {"metric/modes": 7.0, "metric/wasserstein": 0.2})
    plant(out, "author2020/toy", 2, {"metric/modes": 0.0}, status="diverged")
    code, rows = run_script(reproduce, monkeypatch, tmp_path, "--run", "none")
    assert code == 1
    assert rows[0] == {
        "experiment": "author2020/toy",
        "metric": "modes",
        "published": "8 ± 0.5",
        "accepted": "≥ 7",
        "measured": "7.5 ± 0.71",
        "seeds": "2",
        "steps": "5,000",
        "minutes": "3",
        "verdict": "NOT passed: 2 of 3",  # one diverged
    }
    assert (rows[1]["measured"], rows[1]["verdict"]) == ("0.125 ± 0.11", "NOT passed: 1 of 3")
    assert (rows[1]["published"], rows[1]["accepted"]) == ("–", "≤ 0.1")
    assert rows[2] == {
        **dict.fromkeys(rows[0], "–"),
        "experiment": "author2021/other",
        "metric": "modes",
        "accepted": "≥ 1",
        "seeds": "0",
        "verdict": "not run",
    }
    assert len(rows) == 4
    assert reproduce.started == []


def test_the_exit_code_is_zero_if_all_values_are_accepted(reproduce, monkeypatch, tmp_path):
    plant(tmp_path / "out", "author2021/other", 0, {"metric/modes": 3.0})
    assert run_script(reproduce, monkeypatch, tmp_path, "--run", "none", "--only", "author2021/*")[0] == 0


@pytest.mark.parametrize(
    ("final", "verdict"),
    [
        ([{"metric/modes": None}], "NOT passed: 0 of 1"),  # not finite
        ([{}], "undecided: not measured in 1 of 1"),
        ([{}, {}, {"metric/modes": 1.0}], "undecided: not measured in 2 of 3"),
        ([{"metric/modes": 0.0}, {}, {"metric/modes": 1.0}], "NOT passed: 1 of 3"),
    ],
)
def test_a_missing_value_gives_no_verdict(reproduce, monkeypatch, tmp_path, final, verdict):
    for seed, metrics in enumerate(final):
        plant(tmp_path / "out", "author2021/other", seed, metrics)
    code, rows = run_script(reproduce, monkeypatch, tmp_path, "--run", "none", "--only", "author2021/*")
    assert (code, rows[0]["verdict"]) == (1, verdict)


def test_completed_runs_are_kept_and_interrupted_runs_are_resumed(reproduce, monkeypatch, tmp_path):
    plant(tmp_path / "out", "author2020/toy", 0, {"metric/modes": 8.0})
    plant(tmp_path / "out", "author2020/toy", 1, {}, status="interrupted")
    run_script(reproduce, monkeypatch, tmp_path, "--seeds", "3", "--only", "author2020/*", "trainer.device=cpu")
    folder = tmp_path / "out" / "author2020/toy"
    assert reproduce.started == [
        ["experiment=author2020/toy", f"seed={seed}", f"hydra.run.dir={folder / str(seed)}", "trainer.device=cpu"]
        for seed in (1, 2)
    ]


def test_full_scale_experiments_run_only_with_the_option(reproduce, monkeypatch, tmp_path):
    code, _ = run_script(reproduce, monkeypatch, tmp_path, "--only", "*huge")
    assert (code, reproduce.started) == (2, [])
    _, rows = run_script(reproduce, monkeypatch, tmp_path, "--only", "*huge", "--full-scale")
    assert [row["experiment"] for row in rows] == ["author2020/huge"]
    assert reproduce.started[0][0] == "experiment=author2020/huge"


def test_a_name_that_matches_nothing_is_an_error_that_lists_all_names(reproduce, monkeypatch, tmp_path, capsys):
    code, rows = run_script(reproduce, monkeypatch, tmp_path, "--only", "author2022/*")
    assert (code, rows, reproduce.started) == (2, [], [])
    error = capsys.readouterr().err
    assert "no experiment matches author2022/*; choose from author2020/toy, author2021/other, compares" in error


def test_all_experiments_can_be_read(reproduce, monkeypatch):
    monkeypatch.setattr(reproduce, "EXPERIMENTS", CONF / "experiment")
    names = reproduce.with_expectations()
    assert "goodfellow2014/mnist_parzen" in names
    assert not [name for name in names if name.startswith("truth/")]
    unbounded = {name for name in names for e in reproduce.expectations(name).values() if not e.bounded}
    assert {name.split("/")[0] for name in unbounded} == {"coverage", "danihelka2017", "rosca2017"}  # comparisons


def test_an_experiment_inherits_the_expectations_of_its_settings(reproduce, monkeypatch):
    monkeypatch.setattr(reproduce, "EXPERIMENTS", CONF / "experiment")
    assert [*reproduce.expectations("rosca2017/dcgan")] == ["fd_classifier", "ms_ssim", "independent_wasserstein"]
    assert [*reproduce.expectations("rosca2017/vae")][-1] == "reconstruction_absolute"
    assert reproduce.expectations("danihelka2017/mle")["bits_per_dimension"].at_most == 5.5


@pytest.mark.parametrize("name", ["rosca2017/vae", "danihelka2017/wgan", "dziugaite2015/mnist", "coverage/unrolled"])
def test_expectations_equal_those_that_hydra_composes(reproduce, monkeypatch, hydra_config, name):
    monkeypatch.setattr(reproduce, "EXPERIMENTS", CONF / "experiment")
    config = hydra_config(f"experiment={name}")
    assert reproduce.content_of(name)["expected"] == OmegaConf.to_container(config.expected)
    assert reproduce.content_of(name).get("full_scale", False) == config.full_scale


def test_a_metric_without_bound_is_reported_only(reproduce, monkeypatch, tmp_path):
    plant(tmp_path / "out", "compares/method", 0, {"metric/modes": 3.0})
    plant(tmp_path / "out", "compares/method", 1, {"metric/modes": 5.0})
    code, (row,) = run_script(reproduce, monkeypatch, tmp_path, "--run", "none", "--only", "compares/*")
    assert (code, row["accepted"], row["verdict"], row["seeds"]) == (0, "–", "reported", "2")
    assert row["measured"].startswith("4")
    plant(tmp_path / "out", "compares/method", 2, {}, status="diverged")
    code, (row,) = run_script(reproduce, monkeypatch, tmp_path, "--run", "none", "--only", "compares/*")
    assert (code, row["verdict"]) == (1, "NOT passed: 2 of 3")
