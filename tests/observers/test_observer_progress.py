"""The critic's estimate as a curve of progress: correlated with the truth, over every start of a run."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from conftest import TINY
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.observers.progress import Progress
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.event import StepEvent

MEASURED = ["observer=progress", "metric=[push,optimal_transport]", "objective=wasserstein"]


def run_in(folder, step=0):
    """As much of a run as the observer looks at."""
    return SimpleNamespace(directory=RunDirectory(folder), step=step)


def seen(observer, pairs):
    """What the observer adds to events that hold these figures, step by step."""
    added = []
    for step, (estimate, truth) in enumerate(pairs, observer.run.step + 1):
        event = StepEvent(step, scalars={"metric/critic_value": estimate, "metric/wasserstein": truth})
        observer(event)
        added.append(event.scalars.get("metric/progress_correlation"))
        if "progress_correlation" in event.measurements:
            assert event.measurements["progress_correlation"].value == added[-1]
            assert event.measurements["progress_correlation"].better is max
    return added


@pytest.mark.parametrize(("slope", "truth"), [(2.0, 1.0), (-0.5, -1.0)])
def test_figures_on_a_line_are_perfectly_correlated_from_three_on(tmp_path, slope, truth):
    observer = Progress()
    observer.start(run_in(tmp_path))
    added = seen(observer, [(slope * x + 3, x) for x in (5.0, 4.0, 2.5, 1.0)])
    assert added[:2] == [None, None]
    assert added[2:] == pytest.approx([truth, truth])
    assert (tmp_path / "samples" / "progress.png").exists()


def test_the_correlation_is_pearsons(tmp_path):
    pairs = torch.randn(6, 2, dtype=torch.float64)
    x, y = (pairs - pairs.mean(0)).T
    observer = Progress()
    observer.start(run_in(tmp_path))
    assert seen(observer, pairs.tolist())[-1] == pytest.approx((x @ y / (x.norm() * y.norm())).item())


def test_what_is_not_finite_or_never_changes_says_nothing(tmp_path):
    observer = Progress()
    observer.start(run_in(tmp_path))
    assert seen(observer, [(1.0, 1.0), (math.nan, 2.0), (1.0, math.inf), (1.0, 2.0), (1.0, 3.0)]) == [None] * 5
    assert len(observer.pairs) == 3


def test_a_moment_without_both_figures_is_passed_over(tmp_path):
    observer = Progress()
    observer.start(run_in(tmp_path))
    event = StepEvent(1, {}, scalars={"metric/wasserstein": 1.0})
    observer(event)
    assert event.pictures == {}
    assert not (tmp_path / "samples").exists()


def test_a_run_that_goes_on_keeps_the_pairs_up_to_its_step(tmp_path):
    lines = [{"step": 1, "metric/critic_value": 4.0, "metric/wasserstein": 2.0}, {"step": 2, "images_seen": 7}]
    lines += [{"step": 3, "metric/critic_value": None, "metric/wasserstein": 1.0}]
    lines += [{"step": 4, "metric/critic_value": 2.0, "metric/wasserstein": 1.0}]
    lines += [{"step": 6, "metric/critic_value": 9.0, "metric/wasserstein": 0.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"st')
    observer = Progress()
    observer.start(run_in(tmp_path, step=4))
    assert observer.pairs == [(1, 4.0, 2.0), (4, 2.0, 1.0)]
    assert seen(observer, [(3.0, 1.5)]) == pytest.approx([1.0])


@pytest.mark.slow
def test_a_resumed_run_correlates_as_one_never_stopped_and_is_held_to_it(gan_run, tmp_path):
    line = [
        *TINY_RUN,
        PICTURE,
        *MEASURED,
        "loss=wgan_gp",
        "scheduler=constant",
        "+expected.progress_correlation={at_least:-2}",
    ]
    assert gan_run(*line, "trainer.steps=8", "hydra.run.dir=whole")[0] == 0
    assert gan_run(*line, "trainer.steps=4", "hydra.run.dir=parts")[0] == 0
    code, out, err = gan_run("resume=parts", "trainer.steps=8")
    assert code == 0, err
    assert "passed: progress_correlation" in out
    figures = []
    for name in ("whole", "parts"):
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        figures.append([line.get("metric/progress_correlation") for line in lines])
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["measured"]["progress_correlation"] == figures[-1][-1]
        assert "progress_correlation" in summary["best"]
    assert figures[0] == figures[1]
    assert figures[0][:2] == [None, None]
    pictures = [(tmp_path / name / "samples" / "progress.png").read_bytes() for name in ("whole", "parts")]
    assert pictures[0] == pictures[1]


def test_critic_value_is_wgans_estimate_without_the_penalty(make_system):
    from gan_runner.metrics.push import push
    from gan_runner.metrics.results import Results

    system = make_system("dataset=ring8", "model=mlp", "loss=wgan_gp", "model.generator.width=8")
    results = Results(system, system.noise(64, 0), torch.randn(64, 2))
    difference = (results.real_scores.mean() - results.fake_scores.mean()).item()
    assert push(results)["critic_value"] == pytest.approx(difference)


def test_images_have_progress_and_neighbours_too_whatever_their_order(gan_run, tmp_path):
    line = [option for option in TINY_RUN if "experiment" not in option and "width" not in option]
    line += [
        PICTURE,
        "observer=[neighbours,progress]",
        "extractor.steps=2",
        *MEASURED[1:],
        "loss=wgan_gp",
        "model=dcgan",
        *TINY["dcgan"],
        "trainer.steps=6",
    ]
    code, _, err = gan_run(*line, "hydra.run.dir=run")
    assert code == 0, err
    last = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]
    assert "metric/progress_correlation" in json.loads(last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["metric=[push]"], "observer.progress needs wasserstein, which no metric measures; add optimal_transp"),
        (["metric=[optimal_transport]"], "needs critic_value, which no metric measures; add push to metric=[…]"),
        (["observer.progress.truth=waserstein", "metric=[push]"], "did you mean wasserstein?"),
    ],
)
def test_figures_that_nothing_measures_are_refused_in_one_line(gan_run, tmp_path, options, message):
    code, _, err = gan_run("experiment=smoke", "observer=progress", "loss=wgan_gp", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
