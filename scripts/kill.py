#!/usr/bin/env python
"""Kill runs at random, repeat their commands until they complete, and compare the results bit by bit.

    python scripts/kill.py                                      every game, and every way to run one
    python scripts/kill.py --games gan streamed --trials 30
    python scripts/kill.py --seed 7                             other random times

Each game first runs twice without being killed, with identical results. In a trial it is killed by SIGKILL, once or
several times: at a random time, together with all its workers or one process alone (as the kernel does when memory runs
out), or just before an operation on a file of the run (a file about to be overwritten is then left empty). The script
prints a Markdown table (game, trials, kills, identical, seconds). The exit code is 1 if a trial differs; its directory
is then kept.

Runs are forked from this process after it has imported everything and composed the command, before anything is written.
A sweep composes its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import mmap
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"  # a process that has threads must not be forked
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from combinations import GAMES_WITHOUT_DISCRIMINATOR
from conftest import TINY, names_in
from methods import INFOGAN, TEXT
from tiny_runs import RESUMED, assert_equal, outcome, without_clock

from gan_runner.cli import run as cli
from gan_runner.distributed import processes

LENGTH = (
    *("trainer.steps=7", "trainer.log_every=1", "trainer.sample_every=3", "trainer.evaluate_every=2"),
    *("trainer.checkpoint_every=2", "observer.evaluation.samples=50", "logger.mode=disabled"),
)
GENERATOR, DISCRIMINATOR = (TINY["mlp"][0], TINY["mlp"][2]), (TINY["mlp"][1],)
ALONE = ("model=mlp", "dataset=digits", *GENERATOR, *LENGTH)
MLP = (*ALONE, *DISCRIMINATOR)
GAMES = {
    **dict.fromkeys(names_in("game"), MLP),
    **dict.fromkeys(GAMES_WITHOUT_DISCRIMINATOR, ALONE),
    "bilinear": (*LENGTH, "trainer.evaluate_every=0"),
    "conditional": (*MLP, "regularizer=[ema]"),
    "gan_with_codes": (*MLP, *INFOGAN),
    "infogan": (*MLP, *INFOGAN),
    "maximum_likelihood": ("loss=maximum_likelihood", "model=real_nvp", *TINY["real_nvp"][:-1], *LENGTH),
    "moment_matching": ("loss=mmd", *ALONE),
    "moment_matching_codes": ("loss=mmd", *ALONE),
    "semi_supervised": (*MLP, "game.labelled.count=80"),
    "text_to_image": ("model=mlp", "dataset=captioned_shapes", *GENERATOR, *DISCRIMINATOR, *LENGTH, *TEXT[1:]),
}
"""A command that trains each game at a small size."""


@dataclass(frozen=True)
class Line:
    """A command.

    Attributes:
        words: its arguments.
        processes: number of processes, as torchrun starts them.
        parts: directories of its runs.
    """

    words: Sequence[str]
    processes: int = 1
    parts: Sequence[str] = (".",)


LINES = {
    **{game: Line((f"game={game}", *words)) for game, words in GAMES.items()},
    **{name: Line((*MLP, *RESUMED[name])) for name in ("remembering", "augmented", "measured", "streamed")},
    "points": Line(("experiment=smoke", *LENGTH)),
    "multirun": Line(("-m", *MLP, "seed=0,1"), parts=("0", "1")),
    "seeds": Line((*MLP, "seeds=2"), parts=("0", "1")),
    "two processes": Line(MLP, processes=2),
}

OPERATIONS = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
"""Python's audit events that may change files."""


class Operations:
    """Counts a process's file operations in a folder, and kills it before operation number `at`, from 1 on."""

    def __init__(self, folder: Path, at: int = 0):
        self.folder = folder
        self.at = at
        self.shared = mmap.mmap(-1, 8)  # shared with forked processes

    @property
    def seen(self) -> int:
        return int.from_bytes(self.shared[:], "little")

    def watch(self) -> None:
        """Start counting in this process, but not in its children."""
        process = os.getpid()

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in OPERATIONS and self.changes(event, arguments) and os.getpid() == process:
                self.shared[:] = (self.seen + 1).to_bytes(8, "little")
                if self.seen == self.at:
                    if event == "open" and arguments[2] & os.O_TRUNC:
                        os.truncate(os.open(arguments[0], os.O_WRONLY | os.O_CREAT), 0)
                    os.kill(process, signal.SIGKILL)

        sys.addaudithook(hook)

    def changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if not isinstance(arguments[0], str | bytes | os.PathLike):
            return False
        inside = self.folder in Path(os.path.abspath(os.fsdecode(arguments[0]))).parents
        return inside and (event != "open" or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))


class Trials:
    """A command that runs repeatedly in one folder.

    Args:
        line: the command.
        folder: a folder of its own.
    """

    def __init__(self, line: Line, folder: Path):
        self.line = line
        self.folder = folder
        self.run = folder / "run"
        folder.mkdir()
        if "-m" in line.words:
            self.argv = ["gan-run", *line.words, f"hydra.sweep.dir={self.run}"]
            self.enter: Callable[[], Any] = cli.main
        else:
            self.argv = ["gan-run", *line.words, f"hydra.run.dir={self.run}"]
            self.enter = self.composed()
        first, *_, modules = self.whole()
        for module in modules:
            importlib.import_module(module)
        self.result, self.seconds, self.operations, _ = self.whole()
        assert_equal(self.result, first)

    def composed(self) -> Callable[[], Any]:
        """A function that runs the command after its configuration is composed."""
        with mock.patch.object(cli, "run_job") as run_job, mock.patch.object(sys, "argv", self.argv):
            cli.main()
        return lambda: cli.run_job(*run_job.call_args.args)

    def empty(self) -> None:
        """Remove the run and its cache."""
        for place in (self.run, self.folder / "cache"):
            shutil.rmtree(place, ignore_errors=True)

    def whole(self) -> tuple[list[Any], float, int, list[str]]:
        """Run without killing: the result, seconds, the number of file operations, and the imported modules."""
        self.empty()
        counted, began = Operations(self.run), time.monotonic()
        session = Session(self, counted)
        if not session.wait(600) or session.code:
            raise SystemExit(f"{' '.join(self.argv)} failed: {(self.folder / 'log.txt').read_text()}")
        seconds = time.monotonic() - began
        return self.outcome(), seconds, counted.seen, (self.folder / "modules.txt").read_text().split()

    def outcome(self) -> list[Any]:
        """The results: those of its runs, the table of a sweep, and the names of all files."""
        path = self.run / "sweep.json"
        rows = json.loads(path.read_text()) if path.exists() else []
        table = [{**row, "metrics": without_clock(row["metrics"])} for row in rows]
        names = sorted(str(path.relative_to(self.run)) for path in self.run.rglob("*"))
        return [[outcome(self.run / part) for part in self.line.parts], table, names]

    def kill(self, chance: random.Random) -> tuple[int, str]:
        """Kill and restart until it completes. Returns the number of kills, and the difference in words, if any."""
        self.empty()
        history: list[str] = []
        while True:
            planned = not history or chance.random() < 0.75
            at = chance.randint(1, self.operations) if planned and chance.random() < 0.5 else 0
            after = self.seconds * chance.random() if planned and not at else 600.0
            alone = chance.random() < 0.5
            session = Session(self, Operations(self.run, at))
            if not session.wait(after):
                session.kill(alone, chance)
                history.append(f"{after:.2f} s" + " alone" * alone)
            elif session.code == -signal.SIGKILL:
                history.append(f"operation {at}")
            elif session.code:
                return len(history), f"{history}: exit code {session.code}: {(self.folder / 'log.txt').read_text()}"
            else:
                break
        try:
            assert_equal(self.outcome(), self.result)
        except Exception as error:  # includes files that cannot be read
            return len(history), f"{history}: {type(error).__name__} {error}"
        return len(history), ""


class Session:
    """The processes of a running command.

    Args:
        trials: the trials that the command belongs to.
        operations: the counter of the first process.
    """

    def __init__(self, trials: Trials, operations: Operations):
        processes = trials.line.processes
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(processes)}
        self.alive: dict[int, int] = {}  # process id → rank
        self.code = 0
        (trials.folder / "log.txt").unlink(missing_ok=True)
        for rank in range(processes):
            group = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
            self.alive[forked(trials, group, None if rank else operations)] = rank

    def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds. Returns whether all processes have ended."""
        deadline = time.monotonic() + seconds
        while self.alive:
            for process in list(self.alive):
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended and self.alive.pop(process) == 0:
                    self.code = os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        return not self.alive

    def kill(self, alone: bool, chance: random.Random) -> None:
        """Kill all processes with their workers, or one process alone, after which the others must end."""
        for process in chance.sample(list(self.alive), 1) if alone else self.alive:
            (os.kill if alone else os.killpg)(process, signal.SIGKILL)
        if not self.wait(60):
            raise SystemExit(f"processes {', '.join(map(str, self.alive))} did not end after another was killed")


def forked(trials: Trials, environment: dict[str, str], operations: Operations | None) -> int:
    """Run a command in a new process that leads its group. Its output goes to a file."""
    process = os.fork()
    if process:
        with suppress(PermissionError):  # the child has already done it
            os.setpgid(process, process)
        return process
    code = 1
    try:
        with suppress(PermissionError):
            os.setpgid(0, 0)
        os.chdir(trials.folder)
        os.environ.update(environment, GAN_RUNNER_CACHE=str(trials.folder / "cache"))
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        if operations is not None:
            operations.watch()
        sys.argv = trials.argv
        processes.join()
        trials.enter()
        code = 0
    except SystemExit as ending:
        code = int(ending.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            processes.leave()
        if operations is not None and operations.at == 0:
            Path("modules.txt").write_text("\n".join(name for name in sys.modules if name.isascii()))
        sys.stdout.flush()
        os._exit(code)
    return 0


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def main() -> None:
    """Run all trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    games = f"games and ways to run (default all): {', '.join(LINES)}"
    parser.add_argument("--games", nargs="+", choices=LINES, default=list(LINES), metavar="GAME", help=games)
    parser.add_argument("--trials", type=int, default=15, help="trials of each game (default 15)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random times (default 0)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill"))
    print("| game | trials | kills | identical | seconds |\n| --- | --- | --- | --- | --- |", flush=True)
    different = False
    for game in options.games:
        began, chance = time.monotonic(), random.Random(f"{options.seed} {game}")
        trials = Trials(LINES[game], folder / game.replace(" ", "_"))
        kills = identical = 0
        for number in range(options.trials):
            times, difference = trials.kill(chance)
            kills += times
            identical += not difference
            if difference:
                print(f"{game}, trial {number}, killed after {difference}", file=sys.stderr, flush=True)
                shutil.copytree(trials.run, folder / f"{game} {number}")
        seconds = time.monotonic() - began
        print(f"| {game} | {options.trials} | {kills} | {identical} | {seconds:.0f} |", flush=True)
        different |= identical < options.trials
        shutil.rmtree(trials.folder)
    if different:
        sys.exit(f"the runs that differ are in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
