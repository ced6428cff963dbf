"""What takes long says what it is and how far; what is short says nothing."""

import io
import logging
import time

import pytest
import torch
from torch import nn

from gan_runner.extractors.classifier import Classifier
from gan_runner.tools import activity
from gan_runner.tools.activity import Activity


@pytest.fixture
def said(monkeypatch):
    """The lines of activities, which come after 20 ms."""
    lines = []
    monkeypatch.setattr(activity, "FIRST_AFTER_S", 0.02)
    monkeypatch.setattr(activity, "THEN_EVERY_S", 0.05)
    monkeypatch.setattr(activity, "say", lines.append)
    return lines


def test_a_short_activity_says_nothing_and_a_long_one_how_far_it_is(said):
    with Activity("reading"):
        pass
    with Activity("training", 1500, "steps") as long:
        long.done = 1200
        time.sleep(0.15)
    count = len(said)
    assert said[0] == "training: 1,200 of 1,500 steps (0 s)"
    assert count >= 2
    time.sleep(0.1)
    assert len(said) == count
    assert Activity.running == []


def test_only_the_innermost_activity_speaks(said):
    with Activity("measuring"):
        with Activity("training"):
            time.sleep(0.06)
        assert {line.partition(" ")[0] for line in said} == {"training"}
        time.sleep(0.1)
    assert said[-1].startswith("measuring")


def test_an_activity_that_fails_is_over(said):
    with pytest.raises(ValueError, match="no"), Activity("failing"):
        raise ValueError("no")
    time.sleep(0.05)
    assert said == []
    assert Activity.running == []


def test_elements_of_batches_are_counted():
    batches = Activity("reading", 5, "images").begin()
    assert [(len(batch), batches.done) for batch in batches.count([[1, 2], [3, 4], [5]])] == [(2, 0), (2, 2), (1, 4)]
    assert batches.done == 5
    Activity.end_all()
    assert Activity.running == []


def test_a_line_goes_to_the_log_if_that_is_shown_and_else_to_standard_error(capfd, monkeypatch):
    logger, log = logging.getLogger("gan_runner"), io.StringIO()
    monkeypatch.setattr(logger, "handlers", [])
    activity.say("training (2 s)")
    assert capfd.readouterr().err == "training (2 s)\n"
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(log)])
    level = logger.level
    logger.setLevel(logging.INFO)
    activity.say("training (3 s)")
    logger.setLevel(level)
    assert log.getvalue() == "training (3 s)\n"
    assert capfd.readouterr().err == ""


def test_the_training_of_a_classifier_says_its_step(said, make_system):
    system = make_system("dataset=digits", "game=conditional")
    data = system.dataset.load(system.device)

    class Slow(nn.Module):
        def forward(self, x):
            time.sleep(0.02)
            return x

    network = Classifier(steps=6).new(system.dataset.shape, 10, torch.device("cpu"))
    network.body.insert(0, Slow())
    Classifier(steps=6).train(network, data, system.dataset.labels)
    steps = [line.partition(" (")[0] for line in said if line.startswith("training")]
    assert steps
    assert set(steps) <= {f"training the classifier: {step} of 6 steps" for step in range(6)}
