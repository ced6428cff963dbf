"""scripts/benchmark.py compares the speed of contestants that train the same game."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import benchmark

    yield benchmark
    for name in ("benchmark", "contestants"):
        sys.modules.pop(name)


def test_table_json_and_plot_have_the_same_speeds(benchmark, tmp_path):
    benchmark.main(["--games", "tiny", "--contestants", "bare", "runner", "--quick", "--out", str(tmp_path)])
    row = json.loads((tmp_path / "benchmark.json").read_text())["games"]["tiny"]
    speed = row["speed"]["runner"]
    assert row["speed"]["bare"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert 0 < speed["min"] <= speed["median"] <= speed["max"]
    assert row["iterations_per_s"] > 0
    assert len(row["seconds"]["runner"]) == 3
    header, _, line = (tmp_path / "table.md").read_text().splitlines()
    assert header == "| game | bare, iterations/s | runner |"
    assert f"| {speed['median']:.2f} [{speed['min']:.2f}–{speed['max']:.2f}] |" in line
    assert (tmp_path / "speed.png").stat().st_size > 5_000


@pytest.mark.parametrize("game", ["tiny", "mlp_wgan_gp", pytest.param("dcgan32", marks=pytest.mark.slow)])
def test_the_runner_and_the_bare_loop_end_with_the_same_parameters(benchmark, tmp_path, game, capsys):
    options = ["--check", "--games", game, "--contestants", "bare", "runner", "--out", str(tmp_path)]
    benchmark.main(options)
    assert f"{game}: runner and bare end with the same parameters" in capsys.readouterr().out


def test_a_contestant_that_makes_other_updates_fails_the_check(benchmark, tmp_path, monkeypatch):
    def twice(self):
        once(self)
        once(self)

    once = benchmark.CONTESTANTS["runner"].iterate
    monkeypatch.setattr(benchmark.CONTESTANTS["runner"], "iterate", twice)
    options = ["--games", "tiny", "--contestants", "bare", "runner", "--quick", "--out", str(tmp_path)]
    with pytest.raises(AssertionError, match="runner differs from bare"):
        benchmark.main(["--check", *options])
    with pytest.raises(AssertionError, match="runner makes updates"):
        benchmark.main(options)
