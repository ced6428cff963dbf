"""Commands whose reader goes away."""

import errno
import io
import subprocess
import sys

import pytest
from tiny_runs import TINY_RUN

from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.tools.outlets import Outlet


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


@pytest.mark.parametrize("command", ["gan_runner.cli.compare", "gan_runner.cli.sample"])
def test_other_commands_too(finished_run, tmp_path, command):
    finished_run(*TINY_RUN)
    line = [sys.executable, "-c", f"from {command} import main; main()", "run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_a_closed_output_is_none(tmp_path):
    line = f"{sys.executable} -m gan_runner {' '.join(TINY_RUN)} hydra.run.dir=run >&- 2>&-"
    assert subprocess.run(line, shell=True, cwd=tmp_path).returncode == 0
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["step"] == 4


def test_what_a_full_disk_cannot_hold_is_lost_and_not_what_follows(tmp_path):
    class Full(io.StringIO):
        room = False

        def write(self, text):
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    full = Full()
    outlet = Outlet(full)
    assert outlet.write("lost") == 4
    full.room = True
    outlet.write("kept")
    assert full.getvalue() == "kept"
