"""Command lines and files that nobody meant: each ends in one clear line, and never in a traceback.

By default a few dozen of each; thousands take minutes to hours: `FUZZ=2000 pytest -n 0 tests/test_fuzz.py`. What was
found is kept in `test_cli.py` (`BAD_LINES`).
"""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
import torch
from conftest import names_in
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_cli import TINY_RUN

from gan_runner import cli, sample

TIMES = int(os.environ.get("FUZZ", "25"))
FUZZ = settings(
    max_examples=TIMES, deadline=None, database=None, derandomize=TIMES == 25, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

GROUPS = (
    "model",
    "loss",
    "regularizer",
    "game",
    "method",
    "play",
    "optimizer",
    "scheduler",
    "dataset",
    "encoder",
    "prior",
)
KEYS = (
    *(
        "trainer.steps",
        "trainer.batch_size",
        "trainer.log_every",
        "trainer.device",
        "trainer.precision",
        "seed",
        "seeds",
    ),
    *("model.latent.dim", "model.generator.width", "model.discriminator.norm", "optimizer.lr", "optimizer.betas"),
    *("players.discriminator.updates", "players.generator.weights.adversarial", "loss._target_", "model.generator"),
    *("dataset.root", "dataset.image_size", "metric", "objective", "observer", "resume", "trusted", "hydra.run.dir"),
    *(
        "game",
        "loss.real_target",
        "regularizer",
        "logger.mode",
        "expected",
        "extractor",
        "full_scale",
        "nothing.at.all",
    ),
)
ODD = [
    *("", "null", "-1", "0", "3", "1e99", "nan", "inf", "true", "[]", "[1,2]", "[null]", "{}", "{a: 1}", "os.system"),
    *("${seed}", "${nothing}", "${oc.env:HOME}", "gan_runner.models.mlp.MLPGenerator", "???", "'", '"', "a b", "ü"),
    *("cpu", "cuda:99", "fp16", "../..", "/dev/null", "/proc/self/mem", "1,2", "range(3)", "choice(1,2)", "${..seed}"),
]
VALUES = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_subnormal=False).map(str),
    st.text(max_size=12).filter(lambda text: "\x00" not in text),
)


@st.composite
def words(draw):
    """One word of a command line: a part that there is, an option with any value, or anything at all."""
    kind = draw(st.integers(0, 9))
    if kind < 4:
        group = draw(st.sampled_from(GROUPS))
        names = draw(
            st.lists(st.sampled_from(names_in(group)), min_size=1, max_size=2 if group == "regularizer" else 1)
        )
        return f"{group}=[{','.join(names)}]" if group == "regularizer" else f"{group}={names[0]}"
    prefix = draw(st.sampled_from(["", "", "", "+", "++", "~"]))
    if kind < 9:
        return f"{prefix}{draw(st.sampled_from(KEYS))}={draw(VALUES)}"
    return draw(st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text and not text.startswith("-")))


def typed(line):
    """Exit code, and what was complained of, of `gan-run` in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["gan-run", *line]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as exit_:
        code = exit_.code
    return code, err.getvalue()


LITTLE = ("trainer.steps=1", "trainer.batch_size=4", "trainer.sample_every=0", "metric=[]", "objective=null")
"""Work, if a line should happen to be right."""


def check(line):
    code, err = typed(line)
    assert code in (0, 2, 3), f"{line}: {code}\n{err}"
    assert "Traceback" not in err, f"{line}\n{err}"
    if code:
        assert err.splitlines()[-1].startswith("gan-run: "), f"{line}\n{err}"


@FUZZ
@given(st.lists(words(), min_size=1, max_size=4))
def test_no_command_line_ends_in_a_traceback(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    check(
        [
            *line,
            "trainer.steps=1",
            "trainer.batch_size=4",
            "logger.mode=disabled",
            "metric=[]",
            "objective=null",
            "trainer.sample_every=0",
        ]
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The bytes of a run's last checkpoint."""
    folder = tmp_path_factory.mktemp("whole")
    argv, before = sys.argv, Path.cwd()
    os.chdir(folder)
    try:
        assert typed([*TINY_RUN, "hydra.run.dir=run"])[0] == 0
    finally:
        sys.argv = argv
        os.chdir(before)
    return (folder / "run" / "checkpoints" / "last.pt").read_bytes()


@FUZZ
@given(data=st.data())
def test_no_checkpoint_ends_in_a_traceback(tmp_path, checkpoint, data):
    """Bytes changed, cut, doubled or made up: by resuming and by gan-sample."""
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = bytearray(checkpoint)
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["change", "cut", "double", "invent"]))
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        if kind == "change" and content:
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[place : place + data.draw(st.integers(1, 5000))]
        elif kind == "double":
            content[place:place] = content[place : place + 100]
        else:
            content = bytearray(data.draw(st.binary(max_size=200)))
    path.write_bytes(content)
    if bytes(content) == checkpoint:
        return
    code, err = typed([f"resume={tmp_path / 'run'}", "trainer.steps=4"])
    assert code in (0, 2), err
    assert "Traceback" not in err
    err = io.StringIO()
    with redirect_stderr(err), redirect_stdout(io.StringIO()), suppress(SystemExit):
        sample.main([str(path), "--n", "1"])
    assert not err.getvalue() or err.getvalue().startswith("gan-sample: ")


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=9), st.builds(torch.ones, st.integers(0, 9))
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["networks", "players", "discriminator", "generator", "weight", "a"]), inner),
    ),
    max_leaves=6,
)


def places(node, path=()):
    """The paths of all nodes below a dictionary."""
    for key, inner in node.items() if isinstance(node, dict) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


@FUZZ
@given(data=st.data())
def test_no_content_of_a_checkpoint_ends_in_a_traceback(tmp_path, checkpoint, data):
    """Well-formed files of which one node is anything else, or gone."""
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    state = torch.load(io.BytesIO(checkpoint), weights_only=True)
    *above, last = data.draw(st.sampled_from(sorted(places(state), key=str)))
    node = state
    for key in above:
        node = node[key]
    if data.draw(st.booleans()):
        del node[last]
    else:
        node[last] = data.draw(ANYTHING)
    torch.save(state, path)
    code, err = typed([f"resume={tmp_path / 'run'}", "trainer.steps=5"])
    assert code in (0, 2), err
    assert "Traceback" not in err
    path.write_bytes(b"")
    torch.save(state, path)
    with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()), suppress(SystemExit):
        sample.main([str(path), "--n", "1"])
    assert not said.getvalue() or said.getvalue().startswith("gan-sample: ")
