"""Commands whose reader goes away."""

import subprocess
import sys

import pytest
from test_cli import TINY_RUN

from gan_runner.checkpoints import load_checkpoint


@pytest.mark.parametrize("lines", [0, 1])
def test_a_run_goes_on_when_nobody_reads_what_it_says(tmp_path, lines):
    line = [sys.executable, "-m", "gan_runner", *TINY_RUN, "hydra.run.dir=run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    for _ in range(lines):
        assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["step"] == 4


@pytest.mark.parametrize("command", ["gan_runner.compare", "gan_runner.sample"])
def test_other_commands_too(gan_run, tmp_path, command):
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 0
    line = [sys.executable, "-c", f"from {command} import main; main()", "run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0
