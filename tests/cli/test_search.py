"""Searches by a sweeper that minimises or maximises what the runs return."""

import json

import pytest
from hydra.core.config_store import ConfigStore
from tiny_runs import TINY_RUN

from gan_runner.cli.flags import hydra_flags
from gan_runner.cli.search import search_options
from gan_runner.config.compose import change_defaults
from gan_runner.config.resolve import register
from gan_runner.errors import ConfigError

POINTS = ["experiment=smoke", "hydra/sweeper=searching", "optimizer.lr=interval(1e-4,1e-2)"]


@pytest.fixture(autouse=True)
def _sweeper(monkeypatch):
    """A sweeper with the options of Optuna's, which is not among the packages that the tests need."""
    register()
    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", {**store.repo})
    store.store("searching", {"direction": "minimize", "params": None}, "hydra/sweeper")
    yield
    del store.repo["hydra"]["sweeper"]["searching.yaml"]


def options(*words):
    line = hydra_flags([*POINTS, *words])
    return search_options(line, line.overrides)


def test_defaults_that_a_plugin_lacks_are_left_out():
    change_defaults("hydra/sweeper", "searching", {"direction": "maximize", "constant_liar": True})
    assert ConfigStore.instance().load("hydra/sweeper/searching.yaml").node == {"direction": "maximize", "params": None}


def test_the_direction_is_that_in_which_the_objective_is_better():
    assert options("objective=modes") == ["hydra.sweeper.direction=maximize"]
    assert options("objective=sliced_wasserstein") == ["hydra.sweeper.direction=minimize"]
    assert options("hydra/sweeper=basic", "objective=modes") == []
    named = ["dataset=digits", "model=small_mlp", "metric=[precision_recall]", "objective=precision_classifier"]
    assert options(*named, "game=gan,conditional") == ["hydra.sweeper.direction=maximize"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["objective=null"], "a search needs an objective, whose best value it reads; set objective=METRIC"),
        (["seed=0,1"], "seed=0,1 would be searched for the seed with the best value; to optimise the mean over seeds"),
        (["objective=modes", "hydra.sweeper.direction=minimize"], "the objective needs hydra.sweeper.direction=maximi"),
        (["objective=fid"], "no metric measures objective=fid"),
    ],
)
def test_a_search_that_would_mislead_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        options(*words)


@pytest.mark.slow
def test_a_search_by_optuna_goes_on_after_a_run_that_diverged(gan_run, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    learning_rates = ["optimizer=sgd", "trainer.log_every=1", "optimizer.lr=1e30,1e-3"]
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=6", "hydra.sweep.dir=search"]
    code, out, _ = gan_run("-m", *search, "hydra.sweeper.sampler.seed=0", *TINY_RUN, "objective=modes", *learning_rates)
    assert code == 1
    assert out.count("over seeds (search)") == 1
    table = json.loads((tmp_path / "search/sweep.json").read_text())
    assert sorted(row["completed"] > 0 for row in table) == [False, True]
    assert sum(row["runs"] for row in table) == 6
    assert "best_value" in (tmp_path / "search/optimization_results.yaml").read_text()
