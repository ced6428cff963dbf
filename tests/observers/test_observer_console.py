"""The console of a run, on a terminal and through a pipe."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

from tiny_runs import PICTURE, TINY_RUN


def test_piped_output_is_plain_lines(gan_run):
    code, out, _ = gan_run(*TINY_RUN, PICTURE)
    assert code == 0
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == "mlp non_saturating ring8"
    assert any(line.startswith("  generator ") and "Adam 5e-4" in line for line in lines)
    assert any(line.startswith("step=4/4 steps_per_second=") for line in lines)
    (samples, sample, compare), run = lines[-3:], next(Path().glob("outputs/*/*"))
    assert samples == f"last samples: {run}/samples/step_0000004.png"
    assert sample == f"draw more samples: gan-sample {run}"
    assert compare == f"show its curves, or compare it with other runs: gan-compare {run}"


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
