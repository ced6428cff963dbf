"""What an experiment expects of its figures."""

import json

import pytest
from conftest import names_in

from gan_runner.config.expectations import Expectation, verdict
from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.errors import CheckpointError, ConfigError
from gan_runner.observers.build import check_metrics
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.directory import RunDirectory


def test_bounds_are_inclusive_and_both_hold():
    both = Expectation(at_least=1.0, at_most=2.0)
    assert [both.accepts(value) for value in (0.9, 1.0, 1.5, 2.0, 2.1)] == [False, True, True, True, False]
    assert str(both) == "≥ 1, ≤ 2"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_a_missing_value_is_not_accepted(value):
    assert not Expectation(at_least=-1e9).accepts(value)
    assert not Expectation(at_most=1e9).accepts(value)


def test_verdict_finds_metrics_and_losses():
    expected = {
        "modes": Expectation(published=8.0, spread=0.5, source="Table 1", at_least=7.0),
        "critic/adversarial": Expectation(at_most=1.0),
    }
    found = verdict(expected, {"metric/modes": 8.0, "critic/adversarial": 2.0}, True)
    assert found == {
        "published": {"modes": 8.0, "critic/adversarial": None},
        "spread": {"modes": 0.5, "critic/adversarial": None},
        "source": {"modes": "Table 1", "critic/adversarial": None},
        "accepted": {"modes": "≥ 7", "critic/adversarial": "≤ 1"},
        "measured": {"modes": 8.0, "critic/adversarial": 2.0},
        "passed": False,
    }
    assert verdict({}, {"metric/modes": 8.0}, True) == {}


@pytest.mark.parametrize(
    ("final", "passed"),
    [
        ({"metric/modes": 8.0}, None),
        ({}, None),
        ({"metric/modes": 6.0}, False),  # more could not save it
        ({"metric/modes": 8.0, "metric/push": float("nan")}, False),
    ],
)
def test_a_completed_run_neither_passes_nor_fails_by_a_metric_it_did_not_measure(final, passed):
    expected = {"modes": Expectation(at_least=7.0), "push": Expectation(at_most=1.0)}
    assert verdict(expected, final, completed=True)["passed"] is passed
    assert verdict(expected, final, completed=False)["passed"] is False


def test_a_run_without_evaluation_is_not_checked(gan_run, tmp_path):
    code, out, _ = gan_run(*SMOKE, "+expected.sliced_wasserstein={at_least:1e9}", "trainer.evaluate_every=0")
    assert code == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["passed"] is None
    assert "\nnot checked: sliced_wasserstein was not measured (trainer.evaluate_every=0)\n" in out
    assert "passed" not in out


def test_a_value_of_an_earlier_step_gives_no_verdict(gan_run, tmp_path):
    assert gan_run(*SMOKE, "+expected.sliced_wasserstein={at_most:1e9}")[0] == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["passed"] is True
    code, out, err = gan_run("resume=run", "trainer.steps=4", "trainer.evaluate_every=0")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["measured_on"]["sliced_wasserstein"]["step"] == 2
    assert (summary["step"], summary["passed"], summary["measured"]) == (4, None, {"sliced_wasserstein": None})
    assert "\nnot checked: sliced_wasserstein was not measured (trainer.evaluate_every=0)\n" in out


SMOKE = ["experiment=smoke", "trainer.steps=2", "logger.mode=disabled", "hydra.run.dir=run"]


@pytest.mark.parametrize(("bound", "passed"), [("at_most:1e9", True), ("at_least:1e9", False)])
def test_a_run_reports_whether_it_reached_the_expected_value(gan_run, tmp_path, bound, passed):
    code, out, _ = gan_run(*SMOKE, "+expected.sliced_wasserstein={" + bound + "}")
    assert code == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["passed"] is passed
    assert summary["measured"]["sliced_wasserstein"] == summary["final"]["metric/sliced_wasserstein"]
    assert ("NOT passed: sliced_wasserstein" in out) is not passed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "+expected.sliced_waserstein={at_most:1}",
            "; did you mean sliced_wasserstein?",
        ),
        ("+expected.sliced_wasserstein={published:1}", "it has no bound, so every value passes; set at_least"),
        ("+expected.sliced_wasserstein={at_mots:1}", "did you mean expected.sliced_wasserstein.at_most?"),
        ("+expected.sliced_wasserstein={at_most:low}", "expected.sliced_wasserstein.at_most=low: "),
        ("+expected.sliced_wasserstein=0.5", "expected.sliced_wasserstein=0.5 must hold options"),
    ],
)
def test_an_expectation_without_a_bound_is_refused(gan_run, option, message):
    code, _, err = gan_run(*SMOKE, option)
    assert code == 2
    assert message in err


def test_a_metric_without_a_bound_gives_no_verdict(gan_run, tmp_path):
    code, _, err = gan_run(*SMOKE, "+expected.sliced_wasserstein={}", "hydra.run.dir=run")
    assert code == 0, err
    assert not {"passed", "accepted"} & json.loads((tmp_path / "run" / "summary.json").read_text()).keys()


@pytest.mark.parametrize("experiment", names_in("experiment/cifar10"))
def test_full_scale_experiments_measure_what_they_expect(hydra_config, experiment):
    """They are too long to be run here, and need images and weights that are not here."""
    config = resolve(hydra_config(f"experiment=cifar10/{experiment}"))
    metrics = {name: build(f"metric.{name}", node) for name, node in config.metric.items()}
    check_metrics(config, metrics, {})
    assert config.full_scale
    assert config.objective in config.expected


def test_the_best_checkpoint_needs_an_objective(hydra_config, tmp_path):
    config = resolve(hydra_config("objective=null", "logger.artifacts=best"))
    with pytest.raises(ConfigError, match=r"set objective=METRIC, or choose logger.artifacts=last"):
        check_metrics(config, {}, {})
    with pytest.raises(CheckpointError, match="only a run that measures its objective=METRIC saves one; use the last"):
        load_checkpoint(RunDirectory(tmp_path).best)
