"""Bad lines of the commands that are not `gan-run`."""

import pytest

from gan_runner.cli import compare, evaluate, sample

BAD = {
    (sample, "run --foo"): "gan-sample: unrecognized arguments: --foo; see gan-sample --help\n",
    (sample, ""): "gan-sample: the following arguments are required: run; see gan-sample --help\n",
    (sample, "run --n 0"): "gan-sample: argument --n: must be at least 1; see gan-sample --help\n",
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
