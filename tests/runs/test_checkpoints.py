"""Checkpoints: whole or not there, checked when they are read, with others before them; and full disks."""

import errno
import io
import json
import os
import random
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_runs import TINY_RUN, assert_equal

from gan_runner.cli.evaluate import main as gan_eval
from gan_runner.cli.sample import main as gan_sample
from gan_runner.errors import CheckpointError, DiskFull
from gan_runner.observers.metrics_file import MetricsFile
from gan_runner.observers.weights_and_biases import WeightsAndBiases
from gan_runner.runs import checkpoints
from gan_runner.runs.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint, signed
from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.files import write_text

STATE = {
    **dict.fromkeys(("label", "identity", "wandb_id"), "a"),
    **{key: {} for key in ("best", "measured_on", "random")},
    "rollbacks": 0,
    "step": 7,
    "drawn": 7,
    "elapsed_s": 1.0,
    "config": "trainer: {}\ndataset: {name: digits}",
    "system": {"weight": torch.arange(40.0)},
}


@pytest.fixture
def path(tmp_path):
    """A checkpoint."""
    save_checkpoint(tmp_path / "one.pt", STATE)
    return tmp_path / "one.pt"


def same(state):
    return torch.equal(state["system"]["weight"], STATE["system"]["weight"]) and state["config"] == STATE["config"]


def test_torch_reads_a_checkpoint(path):
    assert same(torch.load(path, weights_only=True))
    assert same(torch.load(path, weights_only=True, mmap=True))


def test_every_flipped_bit_is_detected(path):
    whole = path.read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), 1000)
    refused = 0
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert same(read_checkpoint(path))  # a bit of the signature itself
        except CheckpointError:
            refused += 1
    assert refused >= 0.95 * len(bits)


def test_a_view_is_saved_without_its_whole_storage(tmp_path):
    """As of eight seeds that are trained side by side; what a module's state says of itself stays."""
    seeds = {"weight": torch.arange(8000.0).view(8, 1000), "nested": [(torch.ones(8, 1000).T,)]}
    state = torch.nn.BatchNorm1d(3).state_dict()
    for name, content in (
        ("all", seeds),
        ("one", {"weight": seeds["weight"][3], "nested": [(seeds["nested"][0][0][:, 3],)]}),
    ):
        save_checkpoint(tmp_path / f"{name}.pt", {**STATE, "system": {**content, "state": state}})
    whole, one = ((tmp_path / f"{name}.pt").stat().st_size for name in ("all", "one"))
    assert one < whole / 4
    found = read_checkpoint(tmp_path / "one.pt")["system"]
    assert torch.equal(found["weight"], seeds["weight"][3])
    assert torch.equal(found["nested"][0][0], torch.ones(1000))
    assert found["state"]._metadata == state._metadata


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, 0.9, -80])
def test_an_incomplete_file_gets_one_clear_line(path, length):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    with pytest.raises(CheckpointError, match=r"one.pt is not a readable checkpoint \(.+\); use another"):
        read_checkpoint(path)


@pytest.mark.parametrize("version", [3, 99])
def test_another_format_gets_one_clear_line(path, version):
    save_checkpoint(path, {"parts": {}, "format": version})
    advice = "this version reads only format 6; train the run again, or use the version of gan-runner that saved it"
    with pytest.raises(CheckpointError, match=f"one.pt has checkpoint format {version}, but {advice}$"):
        read_checkpoint(path)


def test_a_file_without_a_checksum_is_refused(path):
    torch.save({**STATE, "format": 4}, path)
    with pytest.raises(CheckpointError, match="it has no checksum at its end"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", range(0, 200, 5))
def test_every_error_of_the_unpickler_becomes_one_line(path, length):
    """Of what is signed as it is, so that nothing is known to be wrong before it is unpickled."""
    archive = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(archive, "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:length] if name.endswith("/data.pkl") else content)
    path.write_bytes(signed(archive.getvalue()))
    with pytest.raises(CheckpointError, match=r"one.pt is not a readable checkpoint \(.+\); use another"):
        read_checkpoint(path)


BAD_CONTENT = {
    "deep": ("config", f"trainer: {600 * '['}{600 * ']'}", "is nested too deeply"),
    "broken": ("config", "{a: [", "is not a valid configuration (while parsing a flow node"),
    "list": ("config", "- 1", "is not the configuration of a run"),
    "number": ("config", "5", "is not a valid configuration"),
    "empty": ("config", "", "is not the configuration of a run"),
    "no trainer": ("config", "trainer: 5", "is not the configuration of a run"),
    "mistyped": ("config", "trainer: {}\nmetric: [1]", "is not the configuration of a run: "),
    "text as best": (
        "best",
        {"fid": {"value": "abc", "step": 1, "better": "min", "conditions": {}}},
        "entries are missing or wrong: best;",
    ),
    "no best": (
        "best",
        {"fid": {"value": 1.0, "step": 1, "better": "most", "conditions": {}}},
        "entries are missing or wrong: best;",
    ),
    "no rollbacks": ("rollbacks", "abc", "entries are missing or wrong: rollbacks;"),
}


@pytest.fixture
def saved(finished_run):
    """What the checkpoint of a small run holds."""
    finished_run(*TINY_RUN, name="saved")
    return load_checkpoint(Path("saved/checkpoints/last.pt"))


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_a_signed_file_that_is_no_checkpoint_gets_one_clear_line_from_every_command(gan_run, capfd, saved, case):
    key, content, expected = BAD_CONTENT[case]
    save_checkpoint(Path("run/checkpoints/last.pt"), {**saved, key: content})
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 2
    messages = [err]
    for tool, words in ((gan_sample, ["run"]), (gan_eval, ["run", "metric=[sliced_wasserstein]", "--samples", "9"])):
        with pytest.raises(SystemExit) as exit_:
            tool(words)
        assert exit_.value.code == 2
        messages.append(capfd.readouterr().err)
    for line, name in zip(messages, ("gan-run", "gan-sample", "gan-eval")):
        assert re.fullmatch(rf"{name}: .*run/checkpoints/last\.pt .*\n", line), line
        assert expected in line


def test_copies_of_checkpoints_and_samples_are_ignored(gan_run, tmp_path):
    """As a person may put them there."""
    assert gan_run(*TINY_RUN, "trainer.sample_every=2", "hydra.run.dir=run")[0] == 0
    copies = ("step_0000004_backup", "step_", "step_best", "step_0000002 (copy)")
    for name in copies:
        shutil.copy("run/checkpoints/last.pt", f"run/checkpoints/{name}.pt")
        shutil.copy("run/samples/step_0000004.png", f"run/samples/{name}.png")
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 0, err
    own = {"last.pt", "best.pt", "step_0000004.pt", "step_0000006.pt"}
    assert set(names(RunDirectory(Path("run")))) == own | {f"{name}.pt" for name in copies}
    with Image.open("run/samples/training.gif") as animation:
        assert animation.n_frames == 3


def test_the_signature_is_the_hash_of_all_bytes_before_it(path):
    archive = io.BytesIO()
    torch.save(STATE, archive)
    assert signed(archive.getvalue())[: len(archive.getvalue()) - 2] == archive.getvalue()[:-2]
    assert signed(archive.getvalue()) != signed(archive.getvalue().replace(b"digits", b"digitz"))


def names(directory):
    return sorted(path.name for path in directory.checkpoints.iterdir())


@pytest.mark.parametrize(("keep", "left"), [(0, []), (1, [6, 8]), (2, [4, 6, 8])])
def test_the_chosen_number_of_earlier_checkpoints_is_kept(gan_run, keep, left):
    code, _, err = gan_run(
        *TINY_RUN, "trainer.steps=8", "trainer.checkpoint_every=2", f"observer.checkpoints.keep={keep}",
        "objective=null", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert names(RunDirectory(Path("run"))) == ["last.pt", *(f"step_{step:07d}.pt" for step in left)]


def test_steps_are_ordered_as_numbers(tmp_path):
    directory = RunDirectory(tmp_path)
    for step in (9_999_999, 10_000_000, 10_000_001):
        save_checkpoint(directory.numbered(step), {**STATE, "step": step})
        directory.keep(step, 1)
    assert [load_checkpoint(path)["step"] for path in directory.earlier] == [10_000_001, 10_000_000]


def test_a_checkpoint_gets_its_numbered_name_before_it_becomes_the_last(tmp_path):
    """So that one which was killed between the two keeps as many as any other."""
    directory = RunDirectory(tmp_path)
    for step in (2, 4, 6):
        save_checkpoint(directory.numbered(step), {**STATE, "step": step})
        if step != 4:
            directory.keep(step, 1)
        assert load_checkpoint(directory.last)["step"] == {2: 2, 4: 2, 6: 6}[step]
    assert names(directory) == ["last.pt", "step_0000004.pt", "step_0000006.pt"]
    directory.prune(6, 0)
    assert names(directory) == ["last.pt", "step_0000006.pt"]


def test_without_hard_links_only_the_last_checkpoint_is_kept(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    directory = RunDirectory(tmp_path)
    for step in (2, 4):
        save_checkpoint(directory.numbered(step), {**STATE, "step": step})
        directory.keep(step, 1)
    assert names(directory) == ["last.pt"]
    assert load_checkpoint(directory.last)["step"] == 4


@pytest.mark.parametrize("fault", ["torn", "gone"])
def test_if_the_last_checkpoint_is_lost_the_one_before_it_is_used(gan_run, monkeypatch, fault):
    """By gan-sample, and by resuming, which ends as if nothing had been."""
    messages = set()
    monkeypatch.setattr(checkpoints, "warn_once", messages.add)
    line = [*TINY_RUN, "trainer.steps=6", "trainer.checkpoint_every=2", "objective=null"]
    assert gan_run(*line, "hydra.run.dir=whole")[0] == 0
    assert gan_run(*line, "hydra.run.dir=run")[0] == 0
    directory = RunDirectory(Path("run"))
    if fault == "torn":
        content = bytearray(directory.last.read_bytes())
        content[len(content) // 2] ^= 1
        directory.last.write_bytes(content)  # and so its second name
    else:
        directory.last.unlink()
        directory.earlier[0].unlink()
    gan_sample(["run", "--n", "4"])
    code, _, err = gan_run("resume=run")
    assert code == 0, err
    (line,) = messages
    assert "run/checkpoints/last.pt" in line
    assert line.endswith("run/checkpoints/step_0000004.pt of step 4 instead")
    ended, whole = (load_checkpoint(RunDirectory(Path(name)).last)["system"] for name in ("run", "whole"))
    assert_equal(ended, whole)
    assert names(directory) == ["last.pt", "step_0000004.pt", "step_0000006.pt"]


def test_if_all_checkpoints_are_lost_the_error_names_the_last(gan_run, finished_run):
    finished_run(*TINY_RUN)
    for path in Path("run/checkpoints").iterdir():
        path.write_bytes(b"0")
    code, _, err = gan_run("resume=run")
    assert code == 2
    assert err.startswith("gan-run: ")
    assert "run/checkpoints/last.pt is not a readable checkpoint" in err


def full(monkeypatch, after, of=".pt."):
    """The disk is full, for files with this in their name, when `after` says so."""
    fsync = os.fsync

    def failing(descriptor):
        if of in os.readlink(f"/proc/self/fd/{descriptor}") and after():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_full_disk_keeps_the_old_file_and_reports_the_missing_space(path, monkeypatch):
    before = path.read_bytes()
    full(monkeypatch, lambda: True)
    with pytest.raises(DiskFull, match=r"the disk of .* is full: one.pt needs [\d.]+ MB, .* MB are missing"):
        save_checkpoint(path, {**STATE, "step": 8})
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == ["one.pt"]


@pytest.mark.parametrize(
    ("number", "line"),
    [(errno.ENOSPC, "the disk is full; free some space"), (errno.EFBIG, "a file may not be so large")],
)
def test_a_log_that_has_no_room_ends_the_run_in_one_line(gan_run, monkeypatch, number, line):
    def write(self, event):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(MetricsFile, "__call__", write)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 1
    assert err.startswith(f"gan-run: {line}")
    assert err.count("\n") == 1
    assert Path("run/checkpoints/last.pt").exists()


def test_a_run_on_a_full_disk_keeps_its_last_checkpoint(gan_run, monkeypatch):
    saved = iter([False, False, True, True, True, True])
    full(monkeypatch, lambda: next(saved))
    line = [*TINY_RUN, "trainer.steps=8", "trainer.checkpoint_every=2", "objective=null", "hydra.run.dir=run"]
    code, _, err = gan_run(*line)
    assert code == 1
    assert err.splitlines()[-1].startswith("gan-run: the disk of ")
    assert "Traceback" not in err
    assert json.loads(Path("run/summary.json").read_text())["status"] == "failed"
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["step"] == 4
    monkeypatch.undo()


def test_a_run_on_a_full_disk_continues_when_there_is_room(gan_run, small_disk):
    line = [*TINY_RUN, "model.generator.width=64", "objective=null", "trainer.checkpoint_every=1", "trainer.steps=3"]
    run = small_disk / "run"
    (small_disk / "ballast").write_bytes(bytes(700_000))
    code, _, err = gan_run(*line, "observer.checkpoints.keep=5", f"hydra.run.dir={run}", "trainer.steps=100")
    assert code == 1
    assert "MB are missing; free some space, then continue with: gan-run resume=" in err
    step = load_checkpoint(run / "checkpoints" / "last.pt")["step"]
    assert 0 < step < 100
    (small_disk / "ballast").unlink()
    code, _, err = gan_run(f"resume={run}", f"trainer.steps={step + 1}", "observer.checkpoints.keep=0")
    assert code == 0, err


def test_every_observer_finishes_if_the_summary_cannot_be_written(gan_run, monkeypatch):
    """The disk is full; W&B, the log and the console are closed all the same."""
    ended = []
    monkeypatch.setattr(WeightsAndBiases, "finish", lambda self, summary: ended.append(summary["status"]))
    full(monkeypatch, lambda: True, of="summary.json")
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 1
    assert "summary.json needs" in err
    assert ended == ["completed"]


def test_the_best_checkpoint_is_backed_up_and_foreign_files_stay(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.checkpoints.mkdir()
    directory.best.write_text("of step 3")
    for name in ("best_of_all.pt", "best_3.pt", "best_0000003 (copy).pt"):
        (directory.checkpoints / name).write_text("a person's")
    directory.backup_best(3)
    assert directory.best.read_text() == "of step 3"  # there is a best at any moment
    write_text(directory.best, "of step 5")
    directory.settle_best(3)
    assert directory.best.read_text() == "of step 3"
    directory.backup_best(3)
    write_text(directory.best, "of step 7")
    directory.settle_best(7)
    assert directory.best.read_text() == "of step 7"
    assert sorted(path.name for path in directory.checkpoints.iterdir()) == sorted(
        ["best.pt", "best_of_all.pt", "best_3.pt", "best_0000003 (copy).pt"]
    )
