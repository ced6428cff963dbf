"""scripts/soak.py reports measurements that grow."""

import sys
from pathlib import Path

import pytest

FLAT = {"memory": 100.0, "files": 7, "threads": 3, "bytes": 10.0, "rate": 50.0, "clock": 50.0}


@pytest.mark.parametrize(
    ("figure", "last", "named"),
    [
        ("memory", 106.0, "memory"),
        ("files", 8, "file descriptors"),
        ("threads", 4, "threads"),
        ("bytes", 10.6, "bytes of metrics.jsonl per step"),
    ],
)
def test_what_grows_is_named(monkeypatch, figure, last, named):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "scripts")
    import soak

    assert soak.grown(soak.PARTS * [FLAT]) == []
    assert soak.grown([*(soak.PARTS - 1) * [FLAT], FLAT | {figure: last}]) == [named]
    sys.modules.pop("soak")
