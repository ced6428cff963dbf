"""W&B: what is logged can be read back, and whatever W&B does, the run goes on."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb
from test_cli import TINY_RUN

RUN = [option for option in TINY_RUN if option != "logger.mode=disabled"]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()  # it reads its environment once a process
    yield
    wandb.teardown()


def read_back(run):
    """History and summary of an offline run, by W&B's own reader."""
    (folder,) = (run / "wandb").glob("offline-run-*")
    inspect = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json"]
    lines = subprocess.run([*inspect, str(folder)], capture_output=True, text=True, check=True).stdout.splitlines()
    summary = subprocess.run([*inspect, "--summary", str(folder)], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in lines], json.loads(summary)


def test_offline_without_an_account_says_so_and_keeps_everything(gan_run, tmp_path):
    code, out, err = gan_run(*RUN, "hydra.run.dir=run", "seed=5")
    assert code == 0, err
    assert out.count("no account") == 1
    records, summary = read_back(tmp_path / "run")
    text = json.dumps(records)
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
        _, summary = read_back(sweep / n)
        text = json.dumps(summary)
        ids.add(json.loads((sweep / n / "summary.json").read_text())["wandb_id"])
        assert json.loads((sweep / n / "summary.json").read_text())["wandb_id"] in text
        groups.append(json.loads((sweep / n / "environment.json").read_text())["group"])
    assert len(ids) == 4
    assert groups[0] == groups[1] != groups[2] == groups[3]


class Misbehaving(BaseHTTPRequestHandler):
    """Answers everything with an error."""

    def answer(self):
        self.send_response(500)
        self.end_headers()

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@pytest.fixture(params=["errors", "unreachable"])
def bad_server(request):
    """The address of a W&B server that answers with errors, or not at all."""
    if request.param == "unreachable":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{free.getsockname()[1]}"
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_bad_server_neither_stops_nor_loses_a_run(gan_run, tmp_path, monkeypatch, bad_server):
    monkeypatch.setenv("WANDB_BASE_URL", bad_server)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    code, out, err = gan_run(*RUN, "hydra.run.dir=run", "logger.mode=online")
    assert code == 0, err
    assert "logging offline" in out
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "completed"
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    records, _ = read_back(tmp_path / "run")
    assert "metric/sliced_wasserstein" in json.dumps(records)
