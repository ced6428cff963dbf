"""One run a directory, however many begin at once, and signals that stop it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_runs import TINY_RUN

import gan_runner.train
from gan_runner.datasets import folder
from gan_runner.errors import ConfigError
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.lock import locked

LONG = [*TINY_RUN, "trainer.steps=100000"]


@pytest.fixture
def start(tmp_path):
    """Begin a run that does not end by itself, in a process of its own; what still goes on after the test is killed."""
    started = []

    def begin(*words):
        command = [sys.executable, "-m", "gan_runner", *words, *LONG]
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, cwd=tmp_path, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def begun(run, process, seconds=240):
    """Wait until a run has saved."""
    deadline = time.monotonic() + seconds
    while not (run / "checkpoints" / "last.pt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_lock_is_released_however_its_holder_ends(tmp_path):
    code = f"from gan_runner.runs.lock import locked\nfrom pathlib import Path\nwith locked(Path({str(tmp_path)!r})):"
    holder = subprocess.Popen([sys.executable, "-c", f"{code} print('in', flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout.readline() == b"in\n"
    with (
        pytest.raises(ConfigError, match=f"another run is using {tmp_path}; wait until it ends, or choose another"),
        locked(tmp_path),
    ):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


def test_the_lock_is_released_although_a_worker_process_lives(tmp_path):
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom gan_runner.runs.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    os.fork() or print(os.getpid(), flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    worker = int(holder.stdout.readline())
    holder.kill()
    holder.wait()
    os.kill(worker, 0)  # it lives
    with locked(tmp_path):
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()
    assert f"{tmp_path} offers no locks ({os.strerror(number)}); start no second run in it" in caplog.text


def test_only_one_of_many_processes_gets_the_lock(tmp_path):
    """They race for a lock that its holder takes away when it leaves: never are two inside."""
    code = (
        "import os, random, sys, time\nfrom pathlib import Path\nfrom gan_runner.errors import ConfigError\n"
        "from gan_runner.runs.lock import locked\nfolder, entered = Path(sys.argv[1]), 0\n"
        "while entered < 30:\n"
        "    try:\n"
        "        with locked(folder):\n"
        "            os.mkdir(folder / 'inside'); time.sleep(random.random() / 1000); os.rmdir(folder / 'inside')\n"
        "            entered += 1\n"
        "    except ConfigError: time.sleep(random.random() / 1000)\n"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]


def test_a_second_run_or_resume_in_a_directory_is_refused_and_the_first_continues(gan_run, start):
    first = start("hydra.run.dir=run")
    begun(Path("run"), first)
    for line in ([*LONG, "hydra.run.dir=run"], ["resume=run"]):
        code, _, err = gan_run(*line)
        assert code == 2
        assert err.startswith("gan-run: another run is using ")
        assert err.count("\n") == 1
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 128 + signal.SIGTERM
    assert not Path("run/.lock").exists()
    step = load_checkpoint(Path("run/checkpoints/last.pt"))["step"]
    code, _, err = gan_run("resume=run", f"trainer.steps={step + 2}")
    assert code == 0, err


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_signals_of_schedulers_save_and_stop(gan_run, signal_in_step, signum):
    signal_in_step(signum, 3)
    before = signal.signal(signum, signal.SIG_DFL)  # the tests themselves may be run by nohup
    try:
        code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    finally:
        signal.signal(signum, before)
    assert code == 128 + signum
    assert err.startswith(f"gan-run: stopped by {signum.name} after saving")
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["step"] == 3


def test_an_earlier_signal_handler_is_called_after_saving(gan_run, signal_in_step, monkeypatch):
    seen = []

    def requeue(signum, frame):
        seen.append((signum, json.loads(Path("run/summary.json").read_text())["status"]))

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        signal_in_step(signal.SIGUSR2, 2)
        code, _, _ = gan_run(*TINY_RUN, "hydra.run.dir=run")
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [(signal.SIGUSR2, "interrupted")]
    assert code == 128 + signal.SIGUSR2


def test_a_second_sweep_in_a_directory_is_refused_and_the_first_continues(gan_run, start):
    line = ["-m", "seed=7", "hydra.sweep.dir=sweep"]
    first = start(*line)
    begun(Path("sweep/0"), first)
    code, _, err = gan_run(*line, *LONG)
    assert code == 1
    assert err.startswith("gan-run: another run is using ")
    assert err.count("\n") == 1
    assert gan_run(*LONG, "hydra.run.dir=sweep/0")[0] == 2
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 128 + signal.SIGTERM
    assert {"last.pt", "best.pt"} <= {path.name for path in Path("sweep/0/checkpoints").iterdir()}
    assert Path("sweep/0/metrics.jsonl").stat().st_size


def test_a_repeated_sweep_whose_runs_cannot_continue_loses_nothing(gan_run, tmp_path):
    assert gan_run("-m", *TINY_RUN, "seed=7", "hydra.sweep.dir=sweep")[0] == 0
    (tmp_path / "sweep/0/summary.json").unlink()  # as one that was killed
    code, _, err = gan_run("-m", *TINY_RUN, "seed=7", "trainer.device=cuda:7", "hydra.sweep.dir=sweep")
    assert code == 2
    assert "trainer.device=cuda:7 cannot be used" in err
    assert (tmp_path / "sweep/0/checkpoints/last.pt").exists()
    assert gan_run("-m", *TINY_RUN, "seed=7", "hydra.sweep.dir=sweep")[0] == 0


def test_each_of_several_seeds_is_locked(gan_run, start, tmp_path):
    first = start("seeds=2", "hydra.run.dir=run")
    begun(Path("run/1"), first)
    code, _, err = gan_run("resume=run/1", "trainer.steps=9")
    assert code == 2
    assert err.startswith("gan-run: another run is using ")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 128 + signal.SIGTERM
    assert not list(tmp_path.rglob(".lock"))


@pytest.mark.parametrize("step", [1, 4])
def test_a_signal_in_the_last_step_ends_a_sweep(gan_run, signal_in_step, step):
    signal_in_step(signal.SIGINT, step)
    code, _, _ = gan_run("-m", *TINY_RUN, "seed=0,1", "hydra.sweep.dir=sweep")
    assert code == 128 + signal.SIGINT
    status = json.loads(Path("sweep/0/summary.json").read_text())["status"]
    assert status == ("completed" if step == 4 else "interrupted")
    assert not Path("sweep/1").exists()


def interrupted_in(monkeypatch, owner, name, signum):
    """Send this process a signal in the midst of a function, from which it must not come back."""

    def slow(*_, **__):
        os.kill(os.getpid(), signum)
        raise AssertionError("it goes on")

    monkeypatch.setattr(owner, name, slow)


def test_a_signal_before_the_first_step_stops_the_run_at_once(gan_run, monkeypatch):
    interrupted_in(monkeypatch, gan_runner.train.Trainer, "start", signal.SIGTERM)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 128 + signal.SIGTERM
    assert err == "gan-run: stopped by SIGTERM before the first step; type the same command again\n"
    assert json.loads(Path("run/summary.json").read_text())["status"] == "interrupted"
    assert not Path("run/.lock").exists()


def test_a_signal_while_a_checkpoint_is_read_is_not_reported_as_a_broken_checkpoint(gan_run, finished_run, monkeypatch):
    finished_run(*TINY_RUN)
    before = {path: path.read_bytes() for path in Path("run/checkpoints").iterdir()}
    interrupted_in(monkeypatch, torch, "load", signal.SIGTERM)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 128 + signal.SIGTERM
    assert err == "gan-run: stopped by SIGTERM after saving; continue with: gan-run resume=run\n"
    assert {path: path.read_bytes() for path in Path("run/checkpoints").iterdir()} == before


def test_a_signal_while_data_is_read_is_not_reported_as_a_broken_image(gan_run, tmp_path, monkeypatch):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    interrupted_in(monkeypatch, folder.Files, "__getitem__", signal.SIGINT)
    line = ["dataset=image_folder", f"dataset.root={tmp_path}", "dataset.image_size=8", "model=mlp", *TINY_RUN[3:]]
    code, _, err = gan_run(*line, "metric=[]", "objective=null", "trainer.batch_size=1")
    assert code == 128 + signal.SIGINT
    assert err == "gan-run: stopped by SIGINT before the first step; type the same command again\n"


def test_nohup_is_respected(gan_run, signal_in_step):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    try:
        signal_in_step(signal.SIGHUP, 2)
        assert gan_run(*TINY_RUN)[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
