"""Test that three seeded steps of every method equal the recorded ones, so that a refactor changes no number.

`python scripts/reference.py` records new methods and drops removed ones. To change a trace on purpose, delete it from
`traces.json` first, and show the difference to the reviewer.
"""

import json
from pathlib import Path

import pytest
import torch
from methods import METHODS, name_of, some_steps

TRACES = Path(__file__).parent / "traces.json"


def trace(make_system, method):
    """The reports of all steps, and the sum and sum of squares of all parameters and buffers."""
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


def record(make_system, methods):
    """Record traces of new methods in double precision, and return their names."""
    recorded = json.loads(TRACES.read_text()) if TRACES.exists() else {}
    missing = {name_of(method): method for method in methods if name_of(method) not in recorded}
    now = {name: old for name, old in recorded.items() if name in map(name_of, methods)}
    torch.set_default_dtype(torch.float64)
    for name, method in missing.items():
        torch.manual_seed(0)
        now[name] = trace(make_system, method)
    torch.set_default_dtype(torch.float32)
    if now != recorded:
        TRACES.write_text(json.dumps(now, indent=0, sort_keys=True) + "\n")
    return list(missing)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_three_steps_equal_the_recorded_trace(make_system, method):
    recorded = json.loads(TRACES.read_text())
    assert name_of(method) in recorded, "a new method: run python scripts/reference.py"
    now = trace(make_system, method)
    assert flat(now) == pytest.approx(flat(recorded[name_of(method)]), rel=1e-6, abs=1e-9)
