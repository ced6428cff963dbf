"""Test that random command lines and corrupt files end in one clear line, never in a traceback.

By default each test tries ten; `FUZZ=2000 pytest -n 0 tests/test_fuzz.py` tries more and takes minutes to hours.
`BAD_LINES` in `test_cli.py` keeps the failures found so far.
"""

import io
import os
import shutil
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import names_in
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_runs import TINY_RUN

from gan_runner.cli import compare, sample
from gan_runner.cli import run as cli
from gan_runner.runs import checkpoints

TIMES = int(os.environ.get("FUZZ", "10"))
FUZZ = settings(
    max_examples=TIMES, deadline=None, database=None, derandomize=TIMES == 10, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

GROUPS = (
    *("model", "loss", "regularizer", "game", "method", "play", "optimizer", "scheduler", "dataset"),
    *("encoder", "prior"),
)
KEYS = (
    *("trainer.steps", "trainer.batch_size", "trainer.log_every", "trainer.device", "trainer.precision"),
    *("seed", "seeds", "model.latent.dim", "model.generator.width", "model.discriminator.norm"),
    *("optimizer.lr", "optimizer.betas", "players.discriminator.updates"),
    *("players.generator.weights.adversarial", "loss._target_", "model.generator"),
    *("dataset.root", "dataset.image_size", "metric", "objective", "observer", "resume", "trusted", "hydra.run.dir"),
    *("game", "loss.real_target", "regularizer", "logger.mode", "expected", "extractor", "full_scale"),
    "nothing.at.all",
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
    """One word of a command line: an existing option, a key with any value, or any text."""
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


def run_gan_run(line):
    """Run `gan-run` in this process: exit code and standard error."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["gan-run", *line]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as exit_:
        code = exit_.code
    return code, err.getvalue()


LITTLE = ("trainer.steps=1", "trainer.batch_size=4", "trainer.sample_every=0", "metric=[]", "objective=null")
"""Options that keep a valid command line short."""


def check(line):
    code, err = run_gan_run(line)
    assert code in (0, 2, 3), f"{line}: {code}\n{err}"
    assert "Traceback" not in err, f"{line}\n{err}"
    if code:
        assert err.splitlines()[-1].startswith("gan-run: "), f"{line}\n{err}"


@FUZZ
@given(st.lists(words(), min_size=1, max_size=4))
def test_no_command_line_ends_in_a_traceback(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    check([*line, "logger.mode=disabled", *LITTLE])


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The directory of a small run."""
    folder = tmp_path_factory.mktemp("whole")
    argv, before = sys.argv, Path.cwd()
    os.chdir(folder)
    try:
        assert run_gan_run([*TINY_RUN, "hydra.run.dir=run"])[0] == 0
    finally:
        sys.argv = argv
        os.chdir(before)
    return folder / "run"


@pytest.fixture(scope="module")
def checkpoint(whole_run):
    """The bytes of a run's last checkpoint."""
    return (whole_run / "checkpoints" / "last.pt").read_bytes()


def corrupted(data, content):
    """Bytes with random changes, cuts, repetitions or replacement."""
    content = bytearray(content)
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
    return bytes(content)


def signed_again(content):
    """Bytes with a valid signature, so that they are unpickled."""
    body = content[: -checkpoints.COMMENT - 2] + b"\0\0"
    return checkpoints.signed(body)


def inside(data, content):
    """A checkpoint with a corrupt file in its archive, usually the pickle, and valid checksums."""
    archive = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(archive, "w") as other:
        chosen = data.draw(st.sampled_from([*(4 * ["/data.pkl"]), *whole.namelist()]))
        for name in whole.namelist():
            inner = whole.read(name)
            other.writestr(name, corrupted(data, inner) if name.endswith(chosen) else inner)
    return checkpoints.signed(archive.getvalue())


@FUZZ
@given(data=st.data())
def test_no_checkpoint_ends_in_a_traceback(tmp_path, checkpoint, data):
    """Test resume and gan-sample with truncated checkpoints, and with corrupt ones whose checksums are valid."""
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    how = data.draw(st.sampled_from(["torn", "signed again", "signed inside"]))
    content = inside(data, checkpoint) if how == "signed inside" else corrupted(data, checkpoint)
    path.write_bytes(signed_again(content) if how == "signed again" else content)
    code, err = run_gan_run([f"resume={tmp_path / 'run'}", "trainer.steps=6"])
    assert code in (0, 2, 3), err
    assert "Traceback" not in err
    assert_clean_exit(sample.main, "gan-sample", str(path), "--n", "1")


def assert_clean_exit(main, name, *words):
    """Assert that a command succeeds, or ends in one line with the reason."""
    with redirect_stderr(io.StringIO()) as errors, redirect_stdout(io.StringIO()):
        try:
            code = main(list(words)) or 0
        except SystemExit as exit_:
            code = exit_.code or 0
    assert code in (0, 2), errors.getvalue()
    assert not code or errors.getvalue().splitlines()[-1].startswith(f"{name}: ")


def image(mode, kind):
    """The bytes of an image of noise."""
    file = io.BytesIO()
    shape = (12, 12, len(mode)) if len(mode) > 1 else (12, 12)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8), mode).save(file, kind)
    return file.getvalue()


IMAGES = [image("RGB", "PNG"), image("L", "PNG"), image("RGB", "JPEG"), image("CMYK", "JPEG"), image("RGB", "GIF"),
          image("RGBA", "WEBP"), image("RGB", "BMP"), image("L", "TIFF")]  # fmt: skip


@FUZZ
@given(data=st.data())
def test_no_image_ends_in_a_traceback(tmp_path, monkeypatch, data):
    """Test a folder of four images, one of which is corrupt and of any format and extension."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images" / "one"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.png").write_bytes(IMAGES[number])
    name = f"last.{data.draw(st.sampled_from(['png', 'jpg', 'webp', 'tiff']))}"
    (folder / name).write_bytes(corrupted(data, data.draw(st.sampled_from(IMAGES))))
    workers = data.draw(st.sampled_from(["dataset.resident=true", "dataset.resident=false"]))
    check([*TINY_RUN, "dataset=image_folder", "dataset.root=images", "dataset.image_size=8", workers, *LITTLE])


@FUZZ
@given(data=st.data())
def test_no_file_of_a_run_ends_in_a_traceback(tmp_path, whole_run, data):
    """Test gan-compare and resume with corrupt files of a run."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    shutil.copytree(whole_run, tmp_path / "run")
    files = ["config.yaml", "overrides.yaml", "environment.json", "metrics.jsonl", "summary.json", "run.log"]
    path = tmp_path / "run" / data.draw(st.sampled_from(files))
    path.write_bytes(corrupted(data, path.read_bytes()))
    assert_clean_exit(compare.main, "gan-compare", str(tmp_path / "run"), "--out", str(tmp_path / "page.html"))
    code, err = run_gan_run([f"resume={tmp_path / 'run'}", "trainer.steps=6", *LITTLE[2:]])
    assert code in (0, 2), err
    assert "Traceback" not in err


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
    """Test well-formed checkpoints in which one node is replaced or missing."""
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
    checkpoints.save_checkpoint(path, state)
    code, err = run_gan_run([f"resume={tmp_path / 'run'}", "trainer.steps=6"])
    assert code in (0, 2, 3), err
    assert "Traceback" not in err
    assert_clean_exit(sample.main, "gan-sample", str(path), "--n", "1")
