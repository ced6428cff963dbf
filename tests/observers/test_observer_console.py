"""The console of a run, on a terminal and through a pipe."""

import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.observers.console import Console, NamedLines
from gan_runner.runs.event import StepEvent


def test_piped_output_is_plain_lines(gan_run):
    code, out, _ = gan_run(*TINY_RUN, PICTURE)
    assert code == 0
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == "mlp non_saturating ring8"
    assert any(line.startswith("  generator ") and "Adam 5e-4" in line for line in lines)
    assert any(line.startswith("step=4/4 steps_per_second=") for line in lines)
    (samples, sample, compare), run = lines[-3:], next(Path().glob("outputs/2*/*"))
    assert samples == f"last samples: {run}/samples/step_0000004.png"
    assert sample == f"draw more samples: gan-sample {run}"
    assert compare == f"show its curves, or compare it with other runs: gan-compare {run}"


@pytest.fixture
def console(monkeypatch, caplog):
    """A console of a run of 2,500 steps that began so many seconds ago, on a device."""
    caplog.set_level(logging.INFO, "gan_runner")
    monkeypatch.setattr(logging.getLogger("gan_runner"), "propagate", True)

    def of(seconds, device="cpu", compiles="auto", first=0):
        trainer = SimpleNamespace(compile=compiles, steps=2500)
        shown = Console()
        shown.run = SimpleNamespace(
            config=SimpleNamespace(trainer=trainer),
            system=SimpleNamespace(players=[]),
            started=time.perf_counter() - seconds,
        )
        shown.steps, shown.first_step, shown.bar = 2500, first, None
        shown.printed_at, shown.silent_since = float("-inf"), time.monotonic() - seconds
        shown.is_timed = device != "cpu"
        return shown

    return of


def test_a_run_that_takes_hours_on_a_cpu_warns_of_its_time_once(console, caplog):
    slow = console(25)
    slow(StepEvent(1, {}, False))
    slow(StepEvent(2, {}, False))
    (warning,) = {record.getMessage() for record in caplog.records if record.levelname == "WARNING"}
    assert warning.startswith(
        "the rest takes about 17 hours on this CPU, at 25 s a step; use a GPU, or choose a smaller"
    )


@pytest.mark.parametrize(
    ("seconds", "step", "options"),
    [
        (9, 1, {}),
        (25, 10, {}),
        (25, 1, {"device": "cuda"}),
        (25, 1, {"compiles": True}),
        (25, 1001, {"first": 1000, "compiles": True}),
    ],
)
def test_there_is_no_warning_too_early_nor_for_short_runs_nor_of_compilation(console, caplog, seconds, step, options):
    console(seconds, **options)(StepEvent(step, {}, False))
    assert "WARNING" not in {record.levelname for record in caplog.records}


def test_without_values_a_line_after_ten_seconds_says_the_step(console, caplog):
    shown = console(11)
    shown(StepEvent(3, {}, False))
    shown(StepEvent(4, {}, False))
    said = {record.getMessage().strip() for record in caplog.records if record.levelname == "INFO"}
    assert said == {"step=3/2500"}


def test_a_terminal_gets_a_table_and_one_progress_bar(tmp_path):
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    line = [sys.executable, "-m", "gan_runner", *TINY_RUN]
    process = subprocess.Popen(line, stdout=follower, stderr=follower, cwd=tmp_path, env=environment)
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait() == 0, seen
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "  generator " in text
    assert "4/4" in text
    assert "steps/s" in text
    assert "discriminator/adversarial" in text
    assert "completed at step 4 of 4" in text


def test_lines_of_a_run_in_a_sweep_begin_with_its_name():
    record = logging.LogRecord("gan_runner", logging.INFO, "", 0, "step=%d\nbest", (3,), None)
    assert NamedLines("7").format(record) == "7: step=3\n7: best"
