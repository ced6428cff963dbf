"""No run, no sweep and no seeds write over files that are not theirs."""

import json

import pytest
from tiny_runs import TINY_RUN

from gan_runner.cli.resume import resumed_directory
from gan_runner.errors import ForeignDirectory
from gan_runner.runs.directory import RunDirectory, check_own, mark_own

USERS = {
    **{name: f"{name} of the user" for name in ("config.yaml", "metrics.jsonl", "overrides.yaml", "multirun.yaml")},
    "sweep.md": "# sweep",
    "checkpoints/best_0000001.pt": "weights",
    "0/summary.json": '{"status": "mine"}',
    "environment.json": '{"versions": {"mine": "1"}}',
    ".notes.partial": "notes",
}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [name for name in USERS if not name.startswith(".")])
def test_one_file_of_the_user_is_enough(tmp_path, name):
    write(tmp_path, {name: USERS[name]})
    with pytest.raises(ForeignDirectory, match=r"holds files that no run wrote \(.*\); a run could overwrite them"):
        check_own(tmp_path, "hydra.run.dir")


def test_own_directories_may_be_written_again(tmp_path):
    check_own(tmp_path / "new", "hydra.run.dir")
    write(tmp_path / "hidden", {".lock": "", ".environment.json.12-ab.partial": "{"})
    check_own(tmp_path / "hidden", "hydra.run.dir")
    mark_own(tmp_path / "own")
    write(tmp_path / "own", USERS | {"environment.json": (tmp_path / "own/environment.json").read_text()})
    check_own(tmp_path / "own", "hydra.sweep.dir")
    write(tmp_path / "older_sweep", {"multirun.yaml": "_target_: gan_runner.runs.sweep.SweepTable"})
    check_own(tmp_path / "older_sweep", "hydra.sweep.dir")
    write(tmp_path / "older_seeds", {"sweep.json": "[]", "0/environment.json": '{"versions": {"gan-runner": null}}'})
    check_own(tmp_path / "older_seeds", "hydra.run.dir")
    refused = {"overrides.yaml": "[]", "summary.json": "{}", "gan-run.log": ""}  # a run of a sweep that never started
    write(tmp_path / "refused", refused)
    check_own(tmp_path / "refused", "hydra.sweep.subdir", in_sweep=True)


@pytest.mark.parametrize(
    "line",
    [
        ["hydra.run.dir=."],
        ["seeds=2", "hydra.run.dir=."],
        ["-m", "seed=0,1", "hydra.sweep.dir=."],
        ["-m", "seed=0,1", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=.."],
    ],
    ids=["run", "seeds", "sweep", "run of a sweep"],
)
def test_files_of_the_user_stay_as_they_are(gan_run, tmp_path, line):
    write(tmp_path, USERS)
    code, _, err = gan_run(*line, *TINY_RUN)
    assert code == 2
    option = line[-1].partition("=")[0]
    assert err.splitlines()[-1].endswith(f"; a run could overwrite them, so choose another {option}")
    assert {name: text for name, text in content(tmp_path).items() if not name.startswith("sweep/")} == USERS


def test_a_run_marks_its_directory_before_it_writes_anything_else(gan_run, monkeypatch, tmp_path):
    def killed(*_):
        assert json.loads((tmp_path / "run/environment.json").read_text())["versions"]["gan-runner"]
        assert [path.name for path in (tmp_path / "run").iterdir() if path.name[0] != "."] == ["environment.json"]
        raise KeyboardInterrupt

    monkeypatch.setattr("gan_runner.runs.run.write_text", killed)
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 130
    check_own(tmp_path / "run", "hydra.run.dir")


def test_latest_leads_to_the_last_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/day/1", "outputs/day/2", "elsewhere/3"):
        (tmp_path / name).mkdir(parents=True)
        RunDirectory(tmp_path / name).link_latest()
    assert (tmp_path / "outputs/latest").readlink().as_posix() == "day/2"
    assert resumed_directory(["resume=outputs/latest"]).path == tmp_path / "outputs/day/2"
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["day", "latest"]
    (tmp_path / "outputs/latest").unlink()
    (tmp_path / "outputs/latest").write_text("of the user")
    RunDirectory(tmp_path / "outputs/day/1").link_latest()
    assert (tmp_path / "outputs/latest").read_text() == "of the user"


@pytest.mark.parametrize("typed", ["latest", "latest/0"])
def test_latest_never_leads_to_itself(tmp_path, typed):
    run = tmp_path / "outputs" / "one"
    (run / "0").mkdir(parents=True)
    RunDirectory(run).link_latest()
    RunDirectory(tmp_path / "outputs" / typed).link_latest()
    assert (tmp_path / "outputs" / "latest").resolve() == run
