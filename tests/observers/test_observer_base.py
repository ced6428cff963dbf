"""Observers read a run; what checkpoints keep of them is registered by name."""

import sys
from pathlib import Path

import pytest
from conftest import TINY
from tiny_runs import TINY_RUN

from gan_runner.observers.base import Periodic
from gan_runner.observers.collapse import Collapse
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.event import StepEvent
from gan_runner.runs.run import Run

WITH_ALL = ["observer=[neighbours,progress]", "metric=[push,optimal_transport]", "objective=wasserstein"]
IMAGES = ["model=dcgan", "dataset=digits", "loss=wgan_gp", "extractor.steps=2", *TINY["dcgan"]]


def test_no_observer_writes_into_the_run(gan_run, monkeypatch):
    writers = set()

    def noted(run, name, value):
        writers.add(sys._getframe(1).f_globals["__name__"])
        object.__setattr__(run, name, value)

    monkeypatch.setattr(Run, "__setattr__", noted)
    line = [option for option in TINY_RUN if "experiment" not in option and "width" not in option]
    code, _, err = gan_run(*line, *WITH_ALL, *IMAGES, "trainer.sample_every=2", "hydra.run.dir=run")
    assert code == 0, err
    assert "gan_runner.runs.run" in writers
    assert not [name for name in writers if name.startswith("gan_runner.observers")]


def test_what_an_observer_keeps_is_saved_under_its_name_and_restored(gan_run, monkeypatch):
    restored = []
    monkeypatch.setattr(Collapse, "saved_as", "collapse")
    monkeypatch.setattr(Collapse, "state_dict", lambda observer: {"step": observer.run.step})
    monkeypatch.setattr(Collapse, "load_state_dict", lambda observer, state: restored.append(state))
    assert gan_run(*TINY_RUN, "hydra.run.dir=run")[0] == 0
    assert load_checkpoint(Path("run/checkpoints/last.pt"))["collapse"] == {"step": 4}
    assert gan_run("resume=run", "trainer.steps=6")[0] == 0
    assert restored == [{"step": 4}]


@pytest.mark.parametrize("name", ["step", "system", "format", "best", "random"])
def test_a_name_that_the_run_has_taken_is_refused(gan_run, monkeypatch, name):
    """Its state would stand in place of the run's own, and the run could not go on."""
    monkeypatch.setattr(Collapse, "saved_as", name)
    monkeypatch.setattr(Collapse, "state_dict", lambda observer: {}, raising=False)
    code, _, err = gan_run(*TINY_RUN, "hydra.run.dir=run")
    assert code == 2, err
    assert err == f"gan-run: two parts of a checkpoint would have the name {name}; choose another saved_as\n"


@pytest.mark.parametrize(("every", "steps"), [(0, []), (3, [3, 6, 7]), (10, [7])])
def test_periodic_observers_look_every_so_many_steps_and_after_the_last(every, steps):
    looked = []

    class Looking(Periodic):
        def observe(self, event):
            looked.append(event.step)

    observer = Looking(every)
    for step in range(1, 8):
        observer(StepEvent(step, last=step == 7))
    assert looked == steps
    assert [step for step in range(1, 8) if observer.wants(step)] == [step for step in steps if step % every == 0]
