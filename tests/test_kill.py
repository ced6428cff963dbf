"""A few trials of scripts/kill.py, which kills runs at random."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import names_in

SCRIPT = Path(__file__).parent.parent / "scripts" / "kill.py"


def killed(trials, *games):
    """Trials, kills and identical results by game. Fails if a killed run ends differently from one never killed."""
    line = [sys.executable, str(SCRIPT), "--trials", str(trials), "--games", *games]
    ended = subprocess.run(line, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in ended.stdout.splitlines()[2:]]
    return {game: tuple(map(int, cells[:3])) for game, *cells in rows}


def test_a_killed_run_ends_like_one_never_killed():
    ((trials, kills, identical),) = killed(4, "streamed").values()
    assert trials == identical == 4
    assert kills > 0


@pytest.mark.slow
@pytest.mark.parametrize("game", [*names_in("game"), "remembering", "augmented", "measured", "points"])
def test_every_game_ends_alike_whether_killed_or_not(game):
    killed(5, game)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["multirun", "seeds", "two processes"])
def test_every_way_to_run_ends_alike_whether_killed_or_not(way):
    killed(5, way)
