"""Intervals of differences hold at three to five seeds, and say where nothing can be told."""

import numpy as np
import pytest
from scipy import stats

from gan_runner.runs.statistics import difference, differences_from_best, mean_and_sd


def test_mean_and_standard_deviation():
    assert mean_and_sd([1.0, None, 3.0]) == {"mean": 2.0, "sd": 2**0.5, "n": 2, "values": [1.0, 3.0]}
    assert mean_and_sd([1.0])["sd"] is None
    assert mean_and_sd([None]) is None


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_intervals_cover_the_true_difference(n, spread):
    """At a nominal 95 %; Welch's test is conservative at such numbers of seeds. 600 tables: ± 2 points."""
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(1.0, 1.0, n), rng.normal(0.5, spread, n)) for _ in range(600)]
    covered = sum(d.low <= 0.5 <= d.high for d in (difference(a, b) for a, b in pairs)) / 600
    assert 0.93 <= covered <= 0.99


def test_several_comparisons_hold_together():
    """Four equal methods: all intervals from the best hold in at least 95 of 100 tables, whichever is best."""
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(4, 3)) for _ in range(300)]
    alarms = sum(any(d and d.shown for d in differences_from_best([*table], "max")) for table in tables) / 300
    assert alarms <= 0.05


def test_the_interval_is_that_of_welchs_test():
    first, second = [0.93, 0.92, 0.95], [0.58, 0.61, 0.66]
    found = difference(first, second)
    assert found.shown
    p = stats.ttest_ind(first, second, equal_var=False).pvalue
    edge = difference(first, second, comparisons=0.05 / p)  # the interval at this level ends at zero
    assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_told_is_said():
    assert "two seeds of each" in str(difference([1.0], [2.0, 3.0]))
    assert "no spread" in str(difference([8.0, 8.0, 8.0], [7.0, 7.0, 7.0]))
    assert not difference([8.0, 8.0, 8.0], [7.0, 7.0, 7.0]).shown
    close = difference([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    assert str(close).endswith("cannot be told apart with 3 against 3 seeds")


def test_differences_are_from_the_best():
    groups = [[1.0, 1.1, 0.9], [5.0, 5.1, 4.9], []]
    least, most = (differences_from_best(groups, better) for better in ("min", "max"))
    assert least[0] is None
    assert least[1].value == pytest.approx(4.0)
    assert most[1] is None
    assert most[0].value == pytest.approx(-4.0)
    assert least[2] is most[2] is None
