"""Test that a run makes no network connection unless it is configured to."""

import os
import shutil
import subprocess
import sys

import pytest
from tiny_runs import TINY_RUN

RECORDING = """
import os, socket, sys

def refuse(self, address, *_):
    if self.family != socket.AF_UNIX:
        print("connected to", address, file=open(os.environ["CALLS"], "a"))
        raise OSError("no network in this test")

def look_up(name, *_, **__):
    print("looked up", name, file=open(os.environ["CALLS"], "a"))
    raise socket.gaierror("no network in this test")

whole = socket.socket.connect
socket.socket.connect = lambda self, address: refuse(self, address) or whole(self, address)
socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.gethostbyname = look_up
from gan_runner.cli.run import main
main()
"""


@pytest.fixture
def calls(tmp_path):
    """Run a command without a W&B account in a new process: exit code, output, and connections of Python's sockets."""

    def typed(*arguments, wrapped=(), **environment):
        ours = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        ours |= {"HOME": str(tmp_path), "CALLS": str(tmp_path / "calls"), **environment}
        ours["MPLCONFIGDIR"] = os.path.expanduser("~/.config/matplotlib")
        command = [*wrapped, sys.executable, "-c", RECORDING, *arguments]
        answer = subprocess.run(command, cwd=tmp_path, env=ours, capture_output=True, text=True)
        made = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
        return answer.returncode, answer.stdout + answer.stderr, made

    return typed


LINE = [option for option in TINY_RUN if not option.startswith("logger")]


def test_the_recorder_sees_connections(calls):
    code, _, made = calls(*LINE, "logger.mode=online", WANDB_API_KEY="0" * 40, WANDB_BASE_URL="http://127.0.0.1:9",
                          WANDB_ERROR_REPORTING="true", WANDB_HTTP_TIMEOUT="1")  # fmt: skip
    assert code == 0
    assert made


@pytest.mark.parametrize("options", [["logger.mode=disabled"], []])
def test_a_run_without_an_account_makes_no_connection(calls, options):
    code, output, made = calls(*LINE, *options)
    assert code == 0, output
    assert made == []
    assert ("no account" in output) == (not options)


@pytest.mark.slow
@pytest.mark.parametrize("options", [["logger.mode=disabled"], [], ["logger.mode=offline"]])
def test_processes_of_wandb_make_no_connection(calls, tmp_path, options):
    """Test the system calls of all processes, including W&B's service."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace))
    code, output, _ = calls(*LINE, *options, wrapped=strace)
    assert code == 0, output
    lines = trace.read_text().splitlines()
    assert "exited with 0" in lines[-1]
    assert [line for line in lines if "AF_INET" in line] == []


def test_missing_data_is_not_downloaded_by_default(calls, tmp_path):
    code, output, made = calls(*LINE[1:], "dataset=mnist", f"dataset.root={tmp_path}", "logger.mode=disabled")
    assert code == 2
    assert "dataset.download=true" in output
    assert made == []


def test_data_is_downloaded_on_request(calls, tmp_path):
    code, output, made = calls(
        *LINE[1:], "dataset=mnist", f"dataset.root={tmp_path}", "dataset.download=true", "logger.mode=disabled"
    )
    assert code == 2, output
    assert made
