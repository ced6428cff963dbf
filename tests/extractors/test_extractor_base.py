"""What extractors share: bytes of images, names of figures, weights that are read and not run; what is kept."""

import pickle
from types import SimpleNamespace

import pytest
import torch

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.images import as_bytes, normalised
from gan_runner.errors import DataError
from gan_runner.extractors.base import Features, in_colour, read_weights
from gan_runner.extractors.classifier import Classifier, SoftmaxRegression
from gan_runner.extractors.inception import Inception
from gan_runner.extractors.torchvision import Torchvision
from gan_runner.tools.cache import folder, key_of, load_or_make

KINDS = ("fd", "kd", "score", "precision", "recall", "density", "coverage")


def test_every_byte_survives_normalising():
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(as_bytes(normalised(values)), values)


def test_bytes_are_rounded_and_stay_within_their_range():
    values = torch.tensor([-1.5, -1.0, -1 + 0.9 / 255, -1 + 1.1 / 255, 1.0, 1.5])
    assert as_bytes(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_grey_in_colour_is_grey():
    grey, colour = torch.rand(2, 1, 3, 3), torch.rand(2, 3, 3, 3)
    assert torch.equal(in_colour(grey), grey.repeat(1, 3, 1, 1))
    assert torch.equal(in_colour(colour), colour)


def test_parts_together_are_the_whole():
    features, logits = torch.rand(7, 2), torch.rand(7, 3)
    whole = Features.concatenate(Features(f, x) for f, x in zip(features.split(3), logits.split(3)))
    assert torch.equal(whole.features, features)
    assert torch.equal(whole.logits, logits)


def test_that_only_inception_has_the_established_metric_names():
    names = [Inception(weights="w").metric_name(kind) for kind in KINDS[:4]]
    assert names == ["fid", "kid", "inception_score", "precision_inception"]
    assert [Classifier().metric_name(kind) for kind in KINDS] == [f"{kind}_classifier" for kind in KINDS]
    assert SoftmaxRegression().metric_name("fd") == "fd_softmax_regression"
    assert Torchvision(backbone="resnet34").metric_name("kd") == "kd_resnet34"


class Code:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


BROKEN = {
    "text": lambda path, trap: path.write_text("hello"),
    "empty": lambda path, trap: path.write_bytes(b""),
    "list": lambda path, trap: torch.save([torch.zeros(2)], path),
    "pickle": lambda path, trap: path.write_bytes(pickle.dumps(Code(trap), protocol=2)),
    "code in weights": lambda path, trap: torch.save({"fc.weight": Code(trap)}, path),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("recipe", [Inception, Torchvision])
def test_a_file_that_holds_no_weights_gets_one_line_and_none_of_it_is_run(tmp_path, broken, recipe):
    path, trap = tmp_path / "weights.pth", tmp_path / "trap"
    BROKEN[broken](path, trap)
    with pytest.raises(DataError, match=r"contains no weights .* set it to a file with the weights of") as caught:
        recipe(weights=str(path)).open(Digits(), torch.device("cpu"))
    assert "\n" not in str(caught.value)
    assert not trap.exists()


def test_the_trap_would_have_sprung(tmp_path):
    pickle.loads(pickle.dumps(Code(tmp_path / "trap"))).close()
    assert (tmp_path / "trap").exists()


@pytest.mark.parametrize("recipe", [Inception, Torchvision])
def test_weights_that_are_not_there_are_missed_before_a_run(tmp_path, recipe):
    system = SimpleNamespace(dataset=Digits())
    with pytest.raises(DataError, match=r"not part of this package; set extractor.weights=FILE, or extractor.download"):
        recipe().check(system)
    recipe(download=True).check(system)
    with pytest.raises(DataError, match=r"cannot be read .No such file"):
        recipe(weights=str(tmp_path / "nowhere")).check(system)
    with pytest.raises(DataError, match=r"cannot be read .Is a directory"):
        recipe(weights=str(tmp_path)).check(system)


def test_weights_are_known_by_their_content(tmp_path):
    a, b = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"x": torch.ones(2)}, a)
    torch.save({"x": torch.zeros(2)}, b)
    state, name = read_weights(a, "somebody")
    assert torch.equal(state["x"], torch.ones(2))
    assert name != read_weights(b, "somebody")[1]
    b.write_bytes(a.read_bytes())
    assert name == read_weights(b, "somebody")[1]


def test_keys_tell_where_parts_end():
    assert key_of(["ab", "c"]) != key_of(["a", "bc"]) != key_of(["abc"])
    assert key_of(["a", b"b"]) == key_of([b"a", "b"])


def test_that_a_cached_classifier_is_trained_once(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_RUNNER_CACHE", str(tmp_path / "kept"))
    calls = []

    def make():
        calls.append(1)
        return {"x": torch.arange(3), "n": len(calls)}

    assert [load_or_make("things", "key", make)["n"] for _ in range(3)] == [1, 1, 1]
    assert load_or_make("things", "other", make)["n"] == 2
    assert sorted(path.name for path in (tmp_path / "kept" / "things").iterdir()) == ["key.pt", "other.pt"]


def test_it_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_RUNNER_CACHE", str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.setenv("GAN_RUNNER_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "gan-runner"
