"""A run's directory, and files that are never half-written."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import logging
import math
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_runner import distributed
from gan_runner.errors import ConfigError, DiskFull, Occupied
from gan_runner.interpolations import check_interpolations
from gan_runner.secrecy import hidden

if TYPE_CHECKING:
    import torch

PACKAGES = ("gan-runner", "torch", "torchvision", "hydra-core", "omegaconf", "wandb", "numpy")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger("gan_runner")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole, or as it was before, whatever happens meanwhile.

    Raises:
        DiskFull: there is no room for it.
    """
    content = io.BytesIO()
    write(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")  # of this writer alone
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)  # and so free what it took
        if error.errno in NO_ROOM:
            raise DiskFull(path, content.getbuffer().nbytes) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


LARGEST_YAML = 100_000
"""Nodes of a document, with its aliases written out: a hundred times the largest that a run writes."""

DEEPEST_YAML = 50
"""Nodes within one another: four times the deepest that a run writes."""


def check_yaml(text: str | bytes, name: str) -> None:
    """Refuse YAML that stands for more than could be meant, by aliases ("billion laughs") or by nesting.

    Args:
        text: what is broken otherwise is passed over; who reads it says so.
        name: of the file, for people.

    Raises:
        ConfigError: it stands for too many nodes, or is nested too deeply.
    """
    sizes: dict[str | None, float] = {}
    open_: list[tuple[str | None, float]] = [(None, 0)]  # what has not yet ended: its anchor, and its size so far
    with suppress(YAMLError, UnicodeError):
        for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                sizes[event.anchor] = math.inf  # of a node that holds itself
                open_.append((event.anchor, 1))
                if len(open_) > DEEPEST_YAML:
                    raise ConfigError(f"{name} is nested too deeply, more than {DEEPEST_YAML} times")
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                anchor, size = open_.pop() if isinstance(event, yaml.CollectionEndEvent) else (event.anchor, 1)
                size = sizes.get(anchor, 1) if isinstance(event, yaml.AliasEvent) else size
                sizes[anchor] = size
                open_[-1] = (open_[-1][0], open_[-1][1] + size)
            if open_[-1][1] > LARGEST_YAML:
                raise ConfigError(
                    f"{name} stands for more than {LARGEST_YAML:,} values, by aliases of aliases; leave it out"
                )


def read_yaml(path: Path) -> Any:
    """A YAML file that somebody may have given us, for OmegaConf.

    Raises:
        ConfigError: it is no YAML, or stands for too much.
    """
    return parsed_yaml(path.read_bytes(), str(path))


def parsed_yaml(text: str | bytes, name: str) -> Any:
    """YAML that somebody may have given us, for OmegaConf.

    Raises:
        ConfigError: it is no YAML, or stands for too much.
    """
    check_yaml(text, name)
    try:
        content = OmegaConf.create(text if isinstance(text, str) else text.decode())
    except (YAMLError, OmegaConfBaseException, AssertionError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{name} holds no configuration ({reason})") from error
    check_interpolations(content, name)
    return content


def remove_partial(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove what writers left in a folder that were killed; none that began later than so long ago may be at work."""
    for path in folder.glob(".*.partial"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """A text file, atomically, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """A JSON file, atomically, without secrets."""
    write_text(path, json.dumps(hidden(content), indent=2, ensure_ascii=False) + "\n")


def yaml_of(content: Any) -> str:
    """A configuration or a list as YAML, without secrets; interpolations stand as they are."""
    plain = OmegaConf.to_container(OmegaConf.create(content) if isinstance(content, list) else content)
    return OmegaConf.to_yaml(OmegaConf.create(hidden(plain)))


def hide_in(path: Path) -> None:
    """Take secrets out of a file of someone else's."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if hidden(text) != text:
        write_text(path, hidden(text))


class RunDirectory:
    """The contract that every tool relies on; `README.md` lists the files."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.yaml"
        self.overrides = path / "overrides.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.last = path / "checkpoints" / "last.pt"
        self.best = path / "checkpoints" / "best.pt"
        self.log = path / "run.log"

    @property
    def earlier(self) -> list[Path]:
        """The checkpoints that are kept beside `last.pt`, the newest first; it is a second name of the newest."""
        return sorted(of_steps(self.checkpoints, ".pt"), key=step_of, reverse=True)

    @property
    def begun(self) -> bool:
        """Whether there is a run to go on with."""
        return self.last.exists() or bool(self.earlier)

    def numbered(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.checkpoints / f"step_{step:07d}.pt"

    def keep(self, step: int, earlier: int) -> None:
        """Make the checkpoint of a step `last.pt`, too; keep so many before it, and none of later steps.

        Where a file cannot have two names, nothing before `last.pt` is kept.
        """
        name, second = self.numbered(step), self.checkpoints / ".last.pt.partial"
        second.unlink(missing_ok=True)
        if earlier:
            with suppress(OSError):
                os.link(name, second)
        (second if second.exists() else name).replace(self.last)
        for path in self.earlier:
            if step_of(path) > step:
                path.unlink(missing_ok=True)
        self.forget(step, earlier)

    def forget(self, step: int, earlier: int) -> None:
        """Remove the checkpoints before a step but so many."""
        before = [path for path in self.earlier if step_of(path) < step]
        for path in before[earlier:]:
            path.unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Take back a directory that was made for a run which never began, and the day's if it was the only one."""
        day = [self.path.parent] if self.path.parent.parent.name == "outputs" else []
        for folder in (self.path, *day):
            with suppress(OSError):  # it holds something, or another process was faster
                folder.rmdir()

    def set_aside_best(self, step: int) -> None:
        """Keep the best checkpoint, that of a step, by its number, too, until `last.pt` knows of a better one."""
        aside = self.checkpoints / f"best_{step:07d}.pt"
        if self.best.exists() and not aside.exists():
            try:
                os.link(self.best, aside)
            except OSError:  # where a file cannot have two names
                shutil.copyfile(self.best, aside)

    def settle_best(self, step: int | None) -> None:
        """Let `best.pt` be that of a step, if it was set aside; forget what else was."""
        for path in self.checkpoints.glob("best_*.pt"):
            if re.fullmatch(r"best_\d{7,}", path.stem):
                if int(path.stem[5:]) == step:
                    path.replace(self.best)
                path.unlink(missing_ok=True)

    def clear(self, step: int, best: int | None = None) -> None:
        """Before a run goes on from a step: forget what came after it, how the run ended, and what is half-written.

        Args:
            step: of the checkpoint.
            best: the step that was best until then, if any was.
        """
        self.settle_best(best)
        for folder in (self.path, self.samples, self.checkpoints):
            remove_partial(folder)
        self.summary.unlink(missing_ok=True)
        if self.metrics.exists():
            kept = [line for line in self.sound_lines() if json.loads(line)["step"] <= step]
            write_text(self.metrics, "".join(kept))

    def figures(self) -> dict[str, float]:
        """Each figure of `metrics.jsonl` as it was last logged; what was not finite is NaN."""
        last: dict[str, float | None] = {}
        for line in self.sound_lines() if self.metrics.exists() else ():
            last |= json.loads(line)
        last.pop("step", None)
        return {name: math.nan if value is None else value for name, value in last.items()}

    def lines(self) -> Iterator[str]:
        """The whole lines of `metrics.jsonl`; a torn last one is passed over."""
        with self.metrics.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line

    def sound_lines(self) -> list[str]:
        """Those of the whole lines that a run has written; others are passed over with a warning."""
        written = self.metrics.read_bytes().split(b"\n")[:-1]
        sound = [line.decode() + "\n" for line in written if is_logged(line)]
        if broken := len(written) - len(sound):
            log.warning("%s: %d of %d lines are broken and passed over", self.metrics, broken, len(written))
        return sound

    def typed(self) -> list[str]:
        """What `overrides.yaml` says; nothing where it cannot be read, with a warning."""
        try:
            content = OmegaConf.to_container(read_yaml(self.overrides)) if self.overrides.exists() else []
            if not isinstance(content, list) or not all(isinstance(line, str) for line in content):
                raise ValueError(f"{self.overrides} is no list of texts")
        except (ValueError, ConfigError) as error:
            log.warning("%s; it counts as empty", error)
            return []
        return content


def is_logged(line: bytes) -> bool:
    """Whether a line of `metrics.jsonl` is one that a run writes: numbers and nulls by name, and a step."""
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or not isinstance(content.get("step"), int):
        return False
    return all(isinstance(value, int | float | None) for value in content.values())


HELD: set[BinaryIO] = set()
"""Locked files. A process that is forked lets go of them, or it would keep the lock of its parent that was killed."""
os.register_at_fork(after_in_child=lambda: [file.close() for file in HELD])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other run out of a directory meanwhile. When this process ends, however it does, the kernel lets go.

    Raises:
        Occupied: another run is in it.
        ConfigError: nothing can be written there.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = opened_alone(path)
    except BlockingIOError:
        raise Occupied(f"another run is in {folder}; wait for it, or choose another hydra.run.dir") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); choose another hydra.run.dir") from error
    HELD.add(file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        HELD.remove(file)
        file.close()


def opened_alone(path: Path) -> BinaryIO:
    """A file that no other process has locked, and that still has its name.

    Raises:
        BlockingIOError: another process holds it.
    """
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever held it has just taken it away


def of_steps(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder that are named after a step; others like them, as copies, are passed over."""
    return [path for path in folder.glob(f"step_*{suffix}") if re.fullmatch(r"step_\d{1,18}", path.stem)]


def step_of(path: Path) -> int:
    """The step that a file is named after."""
    return int(path.stem.removeprefix("step_"))


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: command, commit, versions, device."""
    import torch

    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_sha": git("rev-parse", "HEAD"),
        "git_dirty": bool(git("status", "--porcelain")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: installed(name) for name in PACKAGES},
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(),
        "processes": distributed.present.size,
    }


def new_wandb_id() -> str:
    """An id for a W&B run: eight hex digits."""
    return secrets.token_hex(4)


def git(*arguments: str) -> str | None:
    """What git says of the checkout that the package lies in; None if it lies in none."""
    folder = Path(__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def installed(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
