"""The best value of a metric, among values that were measured under the same conditions."""

from gan_runner.runs.best import BestValues


def test_values_under_other_conditions_are_not_compared(caplog):
    best = BestValues("fd")
    best.update("fd", 7.0, min, 10, {"samples": 1700})
    best.update("fd", 8.0, min, 20, {"samples": 1700})
    assert (best.value, best.step) == (7.0, 10)
    assert not caplog.messages
    best.update("fd", 9.0, min, 30, {"samples": 60})
    assert (best.value, best.step) == (9.0, 30)
    (line,) = caplog.messages
    assert line.startswith("fd is measured differently from step 30 on (samples)")
    best.update("fd", 8.0, min, 40, {"samples": 60})
    assert best.values["fd"] == {"value": 8.0, "step": 40, "better": "min", "conditions": {"samples": 60}}
    assert len(caplog.messages) == 1


def test_a_value_that_is_not_finite_is_never_the_best():
    best = BestValues("fd")
    best.update("fd", float("nan"), min, 1, {})
    assert best.value is None
