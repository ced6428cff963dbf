"""Three seeded steps of every loss, regularizer and way to play, as they were: a refactor may not shift a number.

A number that is meant to change is recorded anew, and the difference of `traces.json` shown to whoever reviews it:

    RECORD_TRACES=1 pytest -n 0 tests/test_traces.py
"""

import json
import os
from pathlib import Path

import pytest
import torch
from methods import METHODS, name_of, some_steps

TRACES = Path(__file__).parent / "traces.json"


def trace(make_system, method):
    """What the players reported at each step, and of all that is kept the sum and the sum of squares."""
    state, reports = some_steps(make_system, method, steps=3)
    kept = [value.double() for value in state.values() if isinstance(value, torch.Tensor)]
    return {
        "reports": [{name: value.mean().item() for name, value in report.items()} for report in reports],
        "sum": sum(value.sum().item() for value in kept),
        "squares": sum(value.square().sum().item() for value in kept),
    }


def flat(trace):
    return {
        "sum": trace["sum"],
        "squares": trace["squares"],
        **{f"step {i} {name}": value for i, report in enumerate(trace["reports"]) for name, value in report.items()},
    }


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_three_steps_are_what_they_were(make_system, method):
    now = trace(make_system, method)
    recorded = json.loads(TRACES.read_text()) if TRACES.exists() else {}
    if os.environ.get("RECORD_TRACES"):
        kept = {name: old for name, old in recorded.items() if name in map(name_of, METHODS)}
        TRACES.write_text(json.dumps({**kept, name_of(method): now}, indent=0, sort_keys=True) + "\n")
        pytest.skip("recorded")
    assert name_of(method) in recorded, "a new method: RECORD_TRACES=1 pytest -n 0 tests/test_traces.py"
    assert flat(now) == pytest.approx(flat(recorded[name_of(method)]), rel=1e-6, abs=1e-9)
