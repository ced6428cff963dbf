"""Saved runs, read back: what is there, what is broken, and in which order."""

import pytest
import torch
from tiny_runs import TINY_RUN

from gan_runner.errors import CheckpointError, ConfigError, DataError
from gan_runner.runs.saved import SavedRun, find_runs, open_checkpoint, runs_in


def save(path, **files):
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.{'yaml' if name in ('config', 'overrides') else 'json'}").write_text(text)
    return SavedRun(path)


def test_runs_are_found_once_and_in_order(tmp_path):
    for name in ("10", "2", "2/1"):
        save(tmp_path / name, overrides=f"[seed={name[0]}]")
    (tmp_path / "3").mkdir()
    assert [str(run.path.relative_to(tmp_path)) for run in runs_in(tmp_path)] == ["2", "2/1", "10"]
    assert [run.seed for run in find_runs([tmp_path / "2", tmp_path])] == [2, 2, 1]
    with pytest.raises(ConfigError, match="3 holds no run"):
        find_runs([tmp_path, tmp_path / "3"])


def test_a_run_without_a_summary_is_running_and_after_its_sweep_it_has_failed(tmp_path):
    run = save(tmp_path, overrides="[seed=1]")
    assert run.summary == {"status": "running"}
    assert run.outcome == {"status": "killed", "error": "the run ended without a summary.json"}
    assert (run.lines, dict(run.config), run.label, run.curve("fd")) == ([], {}, "", {})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"status": "completed"}', 9999 * "[", "\udce4"])
def test_a_broken_summary_is_an_error_and_after_its_sweep_a_failure(tmp_path, text):
    run = save(tmp_path)
    (tmp_path / "summary.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=r"summary.json is broken \(.+\); leave out this run, or repair the file$"):
        _ = run.summary
    assert run.outcome["status"] == "failed"
    assert "summary.json is broken" in run.outcome["error"]


def test_broken_overrides_count_as_empty_with_a_warning(tmp_path, caplog):
    assert save(tmp_path, overrides="{a: [").overrides == []
    assert "it is treated as empty" in caplog.text


def test_a_checkpoint_is_found_from_its_run_and_its_own_trusted_list_is_ignored(gan_run, tmp_path):
    assert gan_run(*TINY_RUN, "hydra.run.dir=run", "trusted=[os]")[0] == 0
    run = SavedRun(tmp_path / "run")
    last, same = run.checkpoint(), open_checkpoint(tmp_path / "run/checkpoints/last.pt")
    assert last.path == same.path
    assert (last.folder, last.is_in_run, last.state["step"]) == (run.path, True, 4)
    assert (list(last.config().trusted), list(last.config(trusted=["a"]).trusted)) == ([], ["a"])
    assert last.config("meta").trainer.device == "meta"
    networks = last.system("cpu").networks["generator"].state_dict()
    saved = {name.removeprefix("generator."): value for name, value in last.state["system"]["networks"].items()}
    assert all(torch.equal(value, saved[name]) for name, value in networks.items())
    best = run.summary["best"][run.summary["objective"]]
    assert run.checkpoint("best").state["step"] == best["step"]
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        SavedRun(tmp_path).checkpoint()


def test_a_checkpoint_is_used_without_the_variables_that_it_was_trained_with(gan_run, monkeypatch, tmp_path):
    monkeypatch.setenv("PROJECT", "digits")
    monkeypatch.setenv("API_TOKEN", "very secret")
    line = ["logger.project=${oc.env:PROJECT}", "logger.group=${oc.env:API_TOKEN}", "logger.name=${oc.env:OTHER,none}"]
    code, _, err = gan_run(*TINY_RUN, *line, "hydra.run.dir=run")
    assert code == 0, err
    checkpoint = open_checkpoint(tmp_path / "run")
    monkeypatch.delenv("API_TOKEN")
    monkeypatch.setenv("PROJECT", "another")
    assert checkpoint.config_anywhere().logger.project == "another"
    monkeypatch.delenv("PROJECT")
    logger = checkpoint.config_anywhere().logger
    assert (logger.project, logger.group, logger.name) == ("digits", "(API_TOKEN is not set)", "none")
    checkpoint.system("cpu")
    assert b"very secret" not in (tmp_path / "run/checkpoints/last.pt").read_bytes()
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 2
    line = "an option takes its value from the environment variable PROJECT, which is not set; set it, or type a value"
    assert err == f"gan-run: {line}\n"
