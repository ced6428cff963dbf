"""Bad lines, and a full disk, of the commands that are not `gan-run`."""

import errno
import logging
import os

import pytest
from tiny_runs import TINY_RUN

from gan_runner.cli import compare, evaluate, sample
from gan_runner.cli.arguments import in_flags, shown_log

BAD = {
    (sample, "run n=64"): "gan-sample: unrecognized arguments: n=64; did you mean --n?\n",
    (sample, "run --num 4"): "gan-sample: unrecognized arguments: --num 4; did you mean --n?\n",
    (sample, "run --foo"): "gan-sample: unrecognized arguments: --foo; see gan-sample --help\n",
    (sample, ""): "gan-sample: the following arguments are required: run; see gan-sample --help\n",
    (sample, "run --n 0"): "gan-sample: argument --n: must be at least 1; see gan-sample --help\n",
    (sample, f"run --seed {2**64}"): f"gan-sample: argument --seed: must lie between {-(2**63)} and {2**64 - 1}; see",
    (evaluate, f"run --seed {2**64}"): f"gan-eval: argument --seed: must lie between {-(2**63)} and {2**64 - 1}; see",
    (sample, "run --grid --interpolate"): "gan-sample: argument --interpolate: not allowed with argument --grid; see",
    (evaluate, "run --foo"): "gan-eval: unrecognized arguments: --foo; see gan-eval --help\n",
    (evaluate, "run metric=[parzen] --split tset"): "gan-eval: argument --split: invalid choice: 'tset' (choose from",
    (compare, "run --foo"): "gan-compare: unrecognized arguments: --foo; see gan-compare --help\n",
    (compare, ""): "gan-compare: the following arguments are required: RUN_DIR; see gan-compare --help\n",
}


@pytest.mark.parametrize(("command", "line"), BAD, ids=lambda part: getattr(part, "__name__", part))
def test_a_bad_line_gets_one_clear_line(capfd, command, line):
    with pytest.raises(SystemExit) as stopped:
        command.main(line.split())
    out, err = capfd.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(BAD[command, line])


@pytest.mark.parametrize("command", [sample, evaluate, compare])
def test_one_of_the_processes_that_torchrun_starts_does_the_work(capfd, monkeypatch, command):
    for name, value in {"WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_ADDR": "localhost", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("RANK", "1")
    command.main(["nowhere"])
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match="2"):
        command.main(["nowhere"])
    assert capfd.readouterr().err.count("\n") == 1


FILES = {
    (sample, "run --picture new.png"): "new.png",
    (sample, "run --out new"): "samples.csv",
    (evaluate, "run --samples 50 metric=[sliced_wasserstein]"): "evaluation.json",
    (compare, "run"): "comparison.html",
}


@pytest.mark.parametrize(("command", "line"), FILES, ids=lambda part: getattr(part, "__name__", part))
def test_a_full_disk_gets_one_clear_line(finished_run, capfd, monkeypatch, command, line):
    def failing(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    finished_run(*TINY_RUN)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(SystemExit) as stopped:
        command.main(line.split())
    err = capfd.readouterr().err
    assert (stopped.value.code, err.count("\n")) == (1, 1), err
    assert f" is full: {FILES[command, line]} needs " in err
    assert err.endswith(" MB are missing; free some space, then type the same command again\n")


def test_advice_names_the_flags_of_the_command():
    line = "a._target_=my_games.A may not run; add 'trusted=[my_games]'"
    assert in_flags(line) == "a._target_=my_games.A may not run; add --trust my_games"
    assert in_flags("trainer.device=cuda cannot be used; choose cpu") == "--device cuda cannot be used; choose cpu"
    assert in_flags("set dataset.root=FOLDER") == "set dataset.root=FOLDER"


def test_what_a_command_logs_is_shown_while_it_runs(capfd):
    log = logging.getLogger("gan_runner")
    with shown_log():
        log.info("training the classifier")
    log.info("over")
    assert capfd.readouterr() == ("", "training the classifier\n")
