"""Commands whose output pipe is closed."""

import errno
import io
import re
import subprocess
import sys

import pytest
from tiny_runs import TINY_RUN

from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.tools.pipes import PipeSafeStream


def complaints(stderr):
    """The lines of standard error, but for those that say what takes long: `starting: … (2 s)`."""
    return [line for line in stderr.decode().splitlines() if not re.search(r"\(\d+ s\)$", line)]


@pytest.mark.parametrize("lines", [0, 1])
def test_a_run_continues_when_its_output_pipe_is_closed(tmp_path, lines):
    line = [sys.executable, "-m", "gan_runner", *TINY_RUN, "hydra.run.dir=run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    for _ in range(lines):
        assert process.stdout.readline()
    process.stdout.close()
    assert complaints(process.stderr.read()) == []
    assert process.wait(60) == 0
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["step"] == 4


@pytest.mark.parametrize("command", ["gan_runner.cli.compare", "gan_runner.cli.sample"])
def test_other_commands_exit_with_0_when_their_pipe_is_closed(finished_run, tmp_path, command):
    finished_run(*TINY_RUN)
    line = [sys.executable, "-c", f"from {command} import main; main()", "run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert complaints(process.stderr.read()) == []
    assert process.wait(60) == 0


def test_a_run_completes_without_standard_output(tmp_path):
    line = f"{sys.executable} -m gan_runner {' '.join(TINY_RUN)} hydra.run.dir=run >&- 2>&-"
    assert subprocess.run(line, shell=True, cwd=tmp_path).returncode == 0
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["step"] == 4


def test_text_after_a_full_disk_is_written_again(tmp_path):
    class Full(io.StringIO):
        room = False

        def write(self, text):
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    full = Full()
    stream = PipeSafeStream(full)
    assert stream.write("lost") == 4
    full.room = True
    stream.write("kept")
    assert full.getvalue() == "kept"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "1+-2 x sigma ?"), ("latin-1", "1+-2 x sigma ?"), ("utf-8", "1±2 × σ 字")]
)
def test_characters_that_a_stream_cannot_write_are_replaced(encoding, shown):
    raw = io.BytesIO()
    stream = PipeSafeStream(io.TextIOWrapper(raw, encoding=encoding))
    assert stream.write("1±2 × σ 字") == 9
    stream.flush()
    assert raw.getvalue().decode(encoding) == shown
