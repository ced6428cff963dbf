"""gan-eval --ensemble: the errors of several classifiers and of their mean, or one line."""

import json
import shutil

import pytest
import torch
from conftest import TINY

from gan_runner.cli import evaluate
from gan_runner.cli.ensemble import training_set
from gan_runner.sampling.inference import classify

SMALL = [
    *("game=semi_supervised", "loss=feature_matching", "model=salimans_mnist", *TINY["salimans_mnist"]),
    *("dataset.image_size=8", "dataset.held_out=300", "trainer.steps=3", "trainer.batch_size=8", "metric=[]"),
    *("trainer.sample_every=0", "trainer.log_every=0", "logger.mode=disabled", "hydra.run.dir=many"),
]


@pytest.fixture
def gan_ensemble(capfd):
    """Type a line: exit code, what it printed, what it complained of."""

    def typed(*arguments):
        capfd.readouterr()
        code = 0
        try:
            evaluate.main(["--ensemble", "many", *arguments])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capfd.readouterr()

    return typed


@pytest.fixture
def trained(finished_run, tmp_path):
    finished_run("seeds=3", *SMALL[:-1], name="many")
    return tmp_path / "many"


def broken(path, change):
    """A run's summary, changed."""
    summary = json.loads((path / "summary.json").read_text())
    change(summary)
    (path / "summary.json").write_text(json.dumps(summary))


def test_the_ensemble_averages_probabilities(trained, gan_ensemble, make_system):
    code, out, err = gan_ensemble("--checkpoint", "last")
    assert code == 0, err
    found = json.loads((trained / "ensemble.json").read_text())
    finals = [json.loads((trained / f"{run}" / "summary.json").read_text())["final"] for run in range(3)]
    assert found["errors"] == {f"{run}": final["metric/errors"] for run, final in enumerate(finals)}
    assert (found["images"], found["split"], found["left_out"]) == (300, "validation", {})
    images = next(make_system(*SMALL[:-1]).dataset.load(torch.device("cpu"), "validation").epoch(300))
    probabilities = []
    for run in range(3):
        system = make_system(*SMALL[:-1])
        system.load_state_dict(torch.load(trained / f"{run}" / "checkpoints" / "last.pt", weights_only=True)["system"])
        probabilities.append(classify(system, images["data"]).softmax(1))
    wrong = (sum(probabilities).argmax(1) != images["label"]).sum().item()
    assert found["ensemble_errors"] == wrong
    assert out.splitlines()[-1] == f"ensemble of 3: {wrong} errors in 300 validation images"
    assert out.startswith("run 0: ")


def test_a_failed_run_is_left_out_with_a_line(trained, gan_ensemble):
    broken(trained / "1", lambda summary: summary.update(status="failed"))
    code, out, err = gan_ensemble()
    assert code == 0, err
    assert out.splitlines()[0] == "run 1 is left out: failed"
    assert "ensemble of 2: " in out
    shutil.rmtree(trained / "0")
    code, out, err = gan_ensemble()
    assert code == 2
    assert err == (
        "gan-eval: many holds 1 completed runs of 2, but an ensemble needs at least two; give the directory of a "
        "sweep\n"
    )


def test_a_run_with_a_broken_summary_is_left_out_with_a_line(trained, gan_ensemble):
    (trained / "1" / "summary.json").write_text('{"status": "comp')
    (trained / "2" / "summary.json").write_text("[]")
    code, _, err = gan_ensemble()
    assert code == 2
    assert err.startswith("gan-eval: many holds 1 completed runs of 3")
    shutil.copy(trained / "0" / "summary.json", trained / "2")
    code, out, err = gan_ensemble()
    assert code == 0, err
    assert out.startswith("run 1 is left out: failed: many/1/summary.json is broken (Unterminated string")


@pytest.mark.parametrize("option", ["metric=[sliced_wasserstein]", "extractor=inception", "--samples 9", "--seed 3"])
def test_options_without_effect_on_an_ensemble_are_refused(gan_ensemble, option):
    code, _, err = gan_ensemble(*option.split())
    assert code == 2
    assert err.count("\n") == 1
    assert f"so {option.split()[0]} has no effect; leave it out" in err


def test_the_classification_error_is_measured_on_the_chosen_split(trained):
    run = str(trained / "0")
    for split, images in (("train", 1497), ("validation", 300)):
        evaluate.main([run, "metric=[classification_error]", "--samples", "2", "--split", split])
        found = json.loads((trained / "0" / "evaluation.json").read_text())["errors"]
        assert (found["split"], found["images"]) == (split, images)


@pytest.mark.slow
def test_runs_with_different_labels_are_refused(gan_run, tmp_path, gan_ensemble):
    code, _, err = gan_run("seeds=2", *SMALL, "game.labelled.seed=null")
    assert code == 0, err
    code, _, err = gan_ensemble()
    assert code == 2
    assert err.startswith("gan-eval: runs 0 and 1 have different labels, so their ensemble would use more data than")
    assert err.count("\n") == 1


def test_the_training_set_of_a_run(hydra_config):
    def known(*options):
        return training_set(hydra_config(*SMALL[:4], *options))

    assert known("seed=1") == known("seed=2", "dataset.workers=1")
    assert known("dataset.image_size=16")["dataset"] != known("dataset.image_size=8")["dataset"]
    assert known("game.labelled.seed=null", "seed=4")["labels"] == known("game.labelled.seed=4")["labels"]


def test_a_missing_directory_gets_one_clear_line(gan_run, capfd):
    with pytest.raises(SystemExit, match="2"):
        evaluate.main(["--ensemble", "nowhere"])
    assert capfd.readouterr().err == "gan-eval: there is no directory nowhere; give the directory of a sweep\n"
