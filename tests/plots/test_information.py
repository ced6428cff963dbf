"""The picture of what samples tell of their codes: read back from runs, with what is most."""

import json
import math

import pytest
from conftest import TINY
from omegaconf import OmegaConf
from PIL import Image

import gan_runner.plots.information
from gan_runner.models.codes import Categorical, Gaussian, Uniform
from gan_runner.plots.information import SweepInformation, codes_of, curves, draw_information
from gan_runner.runs.saved import SavedRun


def test_curves_are_read_back_by_code(tmp_path):
    rows = [
        {"step": 5, "metric/mutual_information": 1.5, "metric/mutual_information_a": 1.0},
        {"step": 5, "metric/mutual_information_b": 0.5},
        {"step": 7, "generator/mutual_information_a": 9.0},
        {"step": 10, "metric/mutual_information_a": 2.0, "metric/mutual_information_b": None},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curves(SavedRun(tmp_path)) == {"a": [(5, 1.0), (10, 2.0)], "b": [(5, 0.5)]}


@pytest.mark.parametrize(
    ("code", "most"),
    [
        (Categorical(10), math.log(10)),
        (Uniform(1), math.log(2) - 0.5 * math.log(2 * math.pi)),
        (Gaussian(2, std=0.5), 2 * (0.5 * math.log(2 * math.pi * math.e) - math.log(0.5 * math.sqrt(2 * math.pi)))),
        (Gaussian(1, std=None), math.inf),
    ],
)
def test_the_most_is_where_q_says_the_code_itself(code, most):
    assert code.max_information == pytest.approx(most)


def test_a_sweep_over_games_ends_with_the_picture(gan_run, tmp_path):
    options = ["dataset=ring8", "model=mlp", *TINY["mlp"], "trainer.steps=4", "metric=[]"]
    options += ["trainer.evaluate_every=2", "trainer.sample_every=0", "observer.evaluation.samples=32"]
    options += ["objective=mutual_information", "logger.mode=disabled", "trainer.batch_size=8", "hydra.sweep.dir=sweep"]
    callback = "+hydra.callbacks.information._target_=gan_runner.plots.information.SweepInformation"
    code, out, err = gan_run("-m", "game=infogan,gan_with_codes", callback, *options)
    assert code == 0, err
    assert "mutual information between codes and samples: sweep/mutual_information.png" in out
    with Image.open(tmp_path / "sweep" / "mutual_information.png") as picture:
        assert picture.size == (3 * 480, 360)
    codes = codes_of(SavedRun(tmp_path / "sweep" / "0"))
    assert codes == {"c1": Categorical(10), "c2": Uniform(1), "c3": Uniform(1)}
    found = curves(SavedRun(tmp_path / "sweep" / "1"))
    assert [step for step, _ in found["c1"]] == [2, 4]


def test_a_code_that_was_not_measured_is_left_empty(tmp_path):
    draw_information(tmp_path / "a.png", {"run": {"c": [(1, 0.0), (2, 1.0)]}}, {"c": Categorical(3), "d": Gaussian(1)})
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (960, 360)


def test_all_codes_of_all_runs_that_measured_any_are_drawn(tmp_path, monkeypatch):
    """The first run has no codes, and of the others each has one that the other has not."""
    kind = {"_target_": "gan_runner.models.codes.Uniform", "dim": 1}
    codes = {"0": None, "1": {"a": kind, "b": kind}, "2": {"b": kind, "c": kind}}
    for name, its in codes.items():
        (tmp_path / name).mkdir()
        game = {} if its is None else {"codes": its}
        OmegaConf.save({"game": game, "trusted": []}, tmp_path / name / "config.yaml")
        OmegaConf.save([f"seed={name}"], tmp_path / name / "overrides.yaml")
        row = {"step": 5, **{f"metric/mutual_information_{code}": 0.5 for code in its or ()}}
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    drawn = []
    monkeypatch.setattr(gan_runner.plots.information, "draw_information", lambda *arguments: drawn.append(arguments))
    SweepInformation().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    ((_, runs, all_codes),) = drawn
    assert set(runs) == {"seed=1", "seed=2"}
    assert sorted(all_codes) == ["a", "b", "c"]
