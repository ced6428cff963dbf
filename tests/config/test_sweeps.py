"""What is typed beside a sweep over parts."""

import pytest

from gan_runner.config.sweeps import choices_of_parts, leave_to_jobs, parse_overrides


@pytest.mark.parametrize(
    "typed",
    ["dataset.root=/a b", "loss.scale=1e-3", "objective=null", "logger.name=", "metric=[a,b]", "model.latent={dim: 2}",
     "logger.group=${oc.env:HOME}", "dataset.root='a,b'", "+model.x=1", "players.generator.updates=1"],
)  # fmt: skip
def test_a_single_value_beside_a_sweep_over_parts_reaches_each_job_unchanged(typed):
    swept, choice = leave_to_jobs(["experiment=a,b", typed])
    (override,) = parse_overrides([choice])
    (value,) = override.sweep_string_iterator()
    (again,), (expected,) = parse_overrides([f"{override.get_key_element()}={value}"]), parse_overrides([typed])
    assert swept == "experiment=a,b"
    assert (again.get_key_element(), again.value()) == (expected.get_key_element(), expected.value())


@pytest.mark.parametrize(
    "typed", ["hydra.sweep.dir=x", "hydra/launcher=joblib", "~expected", "seed=1,2", 'a.b="it\'s"']
)
def test_options_of_hydra_and_values_that_cannot_be_passed_on_stay_unchanged(typed):
    assert leave_to_jobs(["loss=hinge,wgan", typed])[1] == typed


def test_a_sweep_over_values_stays_unchanged():
    line = ["seed=0,1", "optimizer.lr=1e-3,1e-4", "dataset=ring8"]
    assert leave_to_jobs(line) == line


def test_every_combination_of_parts_is_listed():
    line = ["loss=lsgan", "loss=hinge,wgan", "setting/rosca@_global_=choice(folder)", "seed=0,1", "loss.scale=1,2"]
    parts = ["setting/rosca@_global_=folder", "model=mlp"]
    options = {"loss": [], "setting/rosca": [], "model": []}
    combinations = list(choices_of_parts([*line, "model=mlp"], options.get))
    assert combinations == [["loss=hinge", *parts], ["loss=wgan", *parts]]


def test_any_key_may_be_a_group_and_a_glob_selects_its_options():
    options = {"seed": ["a1", "a2", "b"], "logger.mode": []}
    line = ["seed=glob(a*)", "+logger.mode=x", "trainer.steps=1"]
    assert list(choices_of_parts(line, options.get)) == [["seed=a1", "+logger.mode=x"], ["seed=a2", "+logger.mode=x"]]
