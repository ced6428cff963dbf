"""W&B: what is logged can be read back, and whatever W&B does, the run goes on."""

import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import matplotlib.font_manager  # noqa: F401  (its cache is in HOME)
import psutil
import pytest
import wandb
from misbehaving_server import metrics_sent, serving
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.observers import weights_and_biases
from gan_runner.observers.weights_and_biases import WeightsAndBiases
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.directory import mark_own

RUN = [option for option in TINY_RUN if option != "logger.mode=disabled"]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ERROR_REPORTING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()  # it reads its environment once a process
    yield
    wandb.teardown()


def read_back(run, *options):
    """The records of an offline run, or by `--summary` what it came to, by W&B's own reader."""
    (folder,) = (run / "wandb").glob("offline-run-*")
    inspect = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", *options, str(folder)]
    output = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines()] if not options else json.loads(output)


def test_offline_without_an_account_says_so_and_keeps_everything(gan_run, tmp_path):
    code, out, err = gan_run(*RUN, PICTURE, "hydra.run.dir=run", "seed=5")
    assert code == 0, err
    assert out.count("no account") == 1
    summary = read_back(tmp_path / "run", "--summary")
    text = json.dumps(read_back(tmp_path / "run"))
    local = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for key in local[-1]:
        assert key in text, key
    assert "samples" in text
    assert "0.6" in text or "metric/sliced_wasserstein" in text
    assert json.dumps(summary).count("best/sliced_wasserstein") >= 1
    assert '"seed"' in json.dumps(summary)


@pytest.mark.parametrize("mode", ["disabled", "logger"])
def test_disabled_writes_nothing(gan_run, tmp_path, monkeypatch, mode):
    if mode == "disabled":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    code, out, _ = gan_run(*RUN, "hydra.run.dir=run", *(["logger.mode=disabled"] if mode == "logger" else []))
    assert code == 0
    assert "W&B" not in out
    assert not (tmp_path / "run" / "wandb").exists()


def test_runs_of_a_sweep_are_distinct_and_grouped_less_the_seed(gan_run, tmp_path):
    code, _, err = gan_run("-m", *RUN, "loss=hinge,lsgan", "seed=0,1")
    assert code == 0, err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    groups, ids = [], set()
    for n in "0123":
        text = json.dumps(read_back(sweep / n, "--summary"))
        ids.add(json.loads((sweep / n / "summary.json").read_text())["wandb_id"])
        assert json.loads((sweep / n / "summary.json").read_text())["wandb_id"] in text
        groups.append(json.loads((sweep / n / "environment.json").read_text())["group"])
    assert len(ids) == 4
    assert groups[0] == groups[1] != groups[2] == groups[3]


FAULTS = ["silent", "dead", "slow", "500", "429", "401", "garbage"]


@pytest.fixture
def online(gan_run, tmp_path, monkeypatch):
    """Run with a server and short timeouts: exit code, output, values on both sides, and seconds."""
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "1")
    for name, seconds in (("FINISH", 2), ("SPARE", 1)):
        monkeypatch.setattr(weights_and_biases, f"SECONDS_TO_{name}", seconds)

    def typed(server, *options):
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        code, out, err = gan_run(*RUN, "hydra.run.dir=run", "trainer.log_every=1", "trainer.sample_every=0", *options)
        return code, out + err, tmp_path / "run"

    return typed


def complete(run, steps=4):
    """Whether the run's own files lack nothing."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, steps + 1))
    assert json.loads((run / "summary.json").read_text())["status"] == "completed"
    assert load_checkpoint(run / "checkpoints" / "last.pt")["step"] == steps


@pytest.fixture
def waited(monkeypatch):
    """Seconds that the run waited for W&B: at the start, in each step, at the end."""
    seconds = {"start": [], "__call__": [], "finish": []}

    def timed(name):
        method = getattr(WeightsAndBiases, name)

        def measured(*arguments):
            before = time.perf_counter()
            method(*arguments)
            seconds[name].append(time.perf_counter() - before)

        monkeypatch.setattr(WeightsAndBiases, name, measured)

    for name in seconds:
        timed(name)
    return seconds


def test_a_server_that_behaves_gets_everything(online):
    with serving() as server:
        code, output, run = online(server, "trainer.sample_every=2")
        assert code == 0, output
        assert "W&B" not in output
        assert metrics_sent(server) == 4
        assert any(path.startswith("/put/media/images/samples") for path, _ in server.requests)
    complete(run)


@pytest.mark.parametrize(
    ("fault", "from_start"),
    [
        *(pytest.param(fault, True, marks=() if fault == "silent" else pytest.mark.slow) for fault in FAULTS),
        *(pytest.param(fault, False, marks=() if fault == "dead" else pytest.mark.slow) for fault in FAULTS),
    ],
)
def test_a_server_that_misbehaves_costs_bounded_seconds_and_no_figure(online, waited, monkeypatch, fault, from_start):
    start = 3 if from_start else 10
    monkeypatch.setattr(weights_and_biases, "SECONDS_TO_START", start)
    with serving(fault, from_start, seconds=0.7) as server:
        code, output, run = online(server)
        assert code == 0, output
        sent = metrics_sent(server)
    complete(run)
    assert "retrying" not in output
    assert sum(waited["start"]) < start + 1
    assert sum(waited["finish"]) < 2 + 1 + 1.5
    assert max(waited["__call__"]) < 0.5
    assert sent == 4 or "logging offline" in output or "`wandb sync`" in output


def test_steps_do_not_wait_for_a_slow_server_nor_for_pictures(online, waited):
    with serving("slow", seconds=5) as server:
        code, output, run = online(server, "trainer.steps=100", "trainer.sample_every=25")
        assert code == 0, output
    complete(run, 100)
    assert statistics.median(waited["__call__"]) < 0.005
    assert max(waited["__call__"]) < 0.5


def stop_service_in(monkeypatch, signum, call):
    """Send W&B's service process a signal when it gets the n-th figures."""
    log, calls = WeightsAndBiases.log, count(1)

    def logging(self, moment):
        if next(calls) == call:
            for process in psutil.Process().children():
                if process.name() == "wandb-core":
                    process.send_signal(signum)
        log(self, moment)

    monkeypatch.setattr(WeightsAndBiases, "log", logging)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("completed", 0),
        pytest.param("diverged", 3, marks=pytest.mark.slow),
        pytest.param("interrupted", 128 + signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_service_that_hangs_is_left_behind_and_the_exit_code_kept(
    online, waited, monkeypatch, signal_in_step, ending, code
):  # fmt: skip
    stop_service_in(monkeypatch, signal.SIGSTOP, 1)
    if ending == "interrupted":
        signal_in_step(signal.SIGTERM, 3)
    options = ["optimizer=sgd", "optimizer.lr=1e30"] if ending == "diverged" else []
    with serving() as server:
        answer, output, run = online(server, *options)
    assert answer == code, output
    assert json.loads((run / "summary.json").read_text())["status"] == ending
    assert "logging to W&B stops: it has not finished within 3 s" in output
    assert f"{run / 'metrics.jsonl'} has all values" in output
    assert sum(waited["finish"]) < 3 + 1 + 1
    before = time.perf_counter()
    wandb.teardown()  # as when the process ends
    assert time.perf_counter() - before < 1


@pytest.mark.slow
def test_after_a_service_that_was_killed_the_next_run_of_a_sweep_has_another(online, monkeypatch, tmp_path):
    stop_service_in(monkeypatch, signal.SIGSTOP, 2)
    with serving() as server:
        code, output, _ = online(server, "hydra.mode=MULTIRUN", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}")
        assert code == 0, output
        assert output.count("logging to W&B stops") == 1
        assert metrics_sent(server) >= 4
    complete(tmp_path / "sweep" / "0")
    complete(tmp_path / "sweep" / "1")


def test_more_than_may_wait_is_not_waited_for(online, waited, monkeypatch):
    hanging = threading.Event()
    monkeypatch.setattr(WeightsAndBiases, "log", lambda *_: hanging.wait())
    monkeypatch.setattr(weights_and_biases, "EVENTS_TO_WAIT", 2)
    with serving() as server:
        code, output, run = online(server, "trainer.steps=6")
        hanging.set()
    assert code == 0, output
    assert output.count("logging to W&B stops: 2 events are waiting") == 1
    assert sum(waited["finish"]) < 0.1
    complete(run, 6)


def test_a_full_disk_of_wandb_alone_stops_nothing(online, small_disk):
    run = small_disk.parent / "run"
    mark_own(run)
    (run / "wandb").symlink_to(small_disk)
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    with serving() as server:
        code, output, run = online(server, "trainer.sample_every=2")
    assert code == 0, output
    assert output.count("No space left on device") == 1
    complete(run)
