"""gan-eval: figures of a trained run, of any metrics, and one line for what cannot be."""

import json

import pytest
import torch
from tiny_runs import TINY_RUN

from gan_runner.cli import evaluate
from gan_runner.runs.checkpoints import save_checkpoint

RUN = [*TINY_RUN[3:], "model.generator.width=4", "model.discriminator.width=4", "dataset.image_size=8"]
RUN += ["regularizer=[ema]", "extractor=softmax_regression", "extractor.steps=20", "objective=null"]
RUN += ["metric=[frechet_distance,sliced_wasserstein]"]
NAME = "fd_softmax_regression"


@pytest.fixture
def trained(finished_run):
    finished_run(*RUN)


@pytest.fixture
def gan_eval(capfd):
    """Type a line: exit code, what it printed, what it complained of."""

    def typed(*arguments):
        code = 0
        try:
            evaluate.main(["run", "--samples", "50", *arguments])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capfd.readouterr()

    return typed


def kept(tmp_path):
    return json.loads((tmp_path / "run" / "evaluation.json").read_text())


def test_values_equal_those_that_the_run_logged_last(trained, gan_eval, tmp_path):
    code, out, err = gan_eval()
    assert code == 0, err
    final = json.loads((tmp_path / "run" / "summary.json").read_text())["final"]
    measured = kept(tmp_path)
    assert set(measured) == {NAME, "sliced_wasserstein"}
    for name, figure in measured.items():
        assert figure["value"] == final[f"metric/{name}"]
        assert (figure["step"], figure["seed"], figure["samples"], figure["split"]) == (4, 1, 50, "train")
        assert f"{name}  " in out
    assert measured[NAME]["extractor"] == "softmax_regression"


def test_averaged_weights_are_measured(trained, gan_eval, tmp_path):
    """Without them, figures change; without what they are the averages of, they do not."""
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    state = torch.load(path, weights_only=True)
    gan_eval()
    value = kept(tmp_path)[NAME]["value"]
    for weight in state["system"]["networks"].values():
        weight.zero_()
    save_checkpoint(path, state)
    gan_eval()
    assert kept(tmp_path)[NAME]["value"] == value


def test_later_values_are_added(trained, gan_eval, tmp_path):
    gan_eval()
    first = kept(tmp_path)
    code, out, err = gan_eval("metric=[classifier_score]", "metric.classifier_score.splits=2")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == [f"score_{NAME[3:]}", f"score_{NAME[3:]}_sd"]
    both = kept(tmp_path)
    assert {name: both[name] for name in first} == first
    assert both[f"score_{NAME[3:]}"]["splits"] == 2
    gan_eval("--seed", "2")
    assert kept(tmp_path)[NAME]["seed"] == 2
    assert kept(tmp_path)[NAME]["value"] != first[NAME]["value"]


def test_another_extractor_and_its_options(trained, gan_eval, tmp_path):
    code, _, err = gan_eval("extractor=classifier", "extractor.steps=3", "extractor.width=4")
    assert code == 0, err
    assert set(kept(tmp_path)) == {"fd_classifier", "sliced_wasserstein"}


def test_an_option_of_the_runs_own_metric_has_an_effect(trained, gan_eval, tmp_path):
    gan_eval("metric.sliced_wasserstein.projections=256")
    many = kept(tmp_path)["sliced_wasserstein"]["value"]
    code, _, err = gan_eval("metric.sliced_wasserstein.projections=2")
    assert code == 0, err
    assert kept(tmp_path)["sliced_wasserstein"]["value"] != many


def test_an_evaluation_may_name_the_checkpoint_itself(trained, tmp_path, capfd):
    evaluate.main(["run/checkpoints/last.pt", "--samples", "20", "metric=[sliced_wasserstein]"])
    assert list(kept(tmp_path)) == ["sliced_wasserstein"]


BAD = {
    "metric=[frechet_distanc]": "there is no metric=frechet_distanc; did you mean frechet_distance?",
    "metric=[mode_coverage]": "metric=mode_coverage: this dataset has no known modes",
    "metric=[parzen]": "metric=parzen: it needs a validation split",
    "metric.nope.k=3": "there is no option metric.nope",
    "metric=[precision_recall] metric.precision_recall.kk=3": "there is no option metric.precision_recall.kk",
    "metric=[precision_recall] metric.precision_recall.k=50": "needs at least 51 samples, but --samples is",
    "extractor=inception": "are not part of this package; set extractor.weights=FILE",
    "trainer.steps=9": "trainer.steps=9 would change the trained run; choose only metric=[…], extractor=…",
    "dataset.image_size=16": "dataset.image_size=16 would change the trained run",
    "+metric.new=1": "would change the trained run",
    "--split test": "this dataset has no split test; set --split to train",
    "--split validation": "this dataset has no split validation; set --split to train",
    "--samples 1": "--samples 1 is too few to compare with data; choose 2 or more",
    "--device nope": "--device nope cannot be used",
}


def test_bad_lines_get_one_line_and_change_nothing(trained, gan_eval, tmp_path):
    for line, message in BAD.items():
        code, out, err = gan_eval(*line.split())
        assert (code, out) == (2, ""), line
        assert err.startswith("gan-eval: "), line
        assert err.count("\n") == 1, err
        assert message in err
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_missing_checkpoint_or_a_broken_file_gets_one_line(gan_eval, tmp_path, monkeypatch, finished_run):
    code, _, err = gan_eval()
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no checkpoint" in err
    finished_run(*RUN)
    (tmp_path / "run" / "evaluation.json").write_text("{")
    code, _, err = gan_eval("metric=[sliced_wasserstein]")
    assert (code, err.count("\n")) == (2, 1)
    assert "evaluation.json is broken" in err


def test_a_value_that_is_not_finite_is_printed_and_saved_as_null(trained, gan_eval, tmp_path, monkeypatch):
    monkeypatch.setattr("gan_runner.metrics.evaluator.Evaluator.measure", lambda self: {"odd": float("inf")})
    monkeypatch.setattr("gan_runner.metrics.evaluator.Evaluator.__init__", infinite)
    code, out, _ = gan_eval()
    assert code == 0
    assert out.startswith("odd  not finite")
    assert kept(tmp_path)["odd"]["value"] is None


def infinite(evaluator, *arguments):
    evaluator.conditions = {"odd": {}}


def test_values_that_cannot_be_saved_are_printed(trained, gan_eval, monkeypatch):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(evaluate, "write_json", refuse)
    code, out, err = gan_eval("metric=[sliced_wasserstein]")
    assert code == 2
    assert out.startswith("sliced_wasserstein ")
    assert err.endswith(
        "is not writable (Permission denied), so the values above are not saved; change its permissions\n"
    )
