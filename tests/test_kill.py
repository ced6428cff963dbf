"""Runs that are killed at random: `scripts/kill.py`, a few trials of each of its lines."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import names_in

SCRIPT = Path(__file__).parent.parent / "scripts" / "kill.py"


def killed(trials, *games):
    """The rows of its table, by game; it fails where a run does not end as the one never killed."""
    line = [sys.executable, str(SCRIPT), "--trials", str(trials), "--games", *games]
    ended = subprocess.run(line, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in ended.stdout.splitlines()[2:]]
    return {game: tuple(map(int, cells[:3])) for game, *cells in rows}


def test_killed_runs_end_as_those_never_killed():
    ((trials, kills, identical),) = killed(4, "streamed").values()
    assert trials == identical == 4
    assert kills > 0


@pytest.mark.slow
@pytest.mark.parametrize("game", [*names_in("game"), "remembering", "augmented", "measured", "points"])
def test_every_game_that_is_killed_ends_as_if_never(game):
    killed(5, game)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["multirun", "seeds", "two processes"])
def test_every_way_to_run_that_is_killed_ends_as_if_never(way):
    killed(5, way)
