"""A run's directory, and files that are never half-written."""

from __future__ import annotations

import json
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gan_runner import distributed

if TYPE_CHECKING:
    import torch

PACKAGES = ("gan-runner", "torch", "torchvision", "hydra-core", "omegaconf", "wandb", "numpy")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole, or as it was before, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")  # of this writer alone
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """A text file, atomically, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """A JSON file, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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

    def remove_if_empty(self) -> None:
        """Take back a directory that was made for a run which never began, and the day's if it was the only one."""
        day = [self.path.parent] if self.path.parent.parent.name == "outputs" else []
        for folder in (self.path, *day):
            with suppress(OSError):  # it holds something, or another process was faster
                folder.rmdir()

    def truncate_metrics(self, step: int) -> None:
        """Forget what was logged after a step: a run that goes on from there will log it again."""
        if self.metrics.exists():
            kept = [line for line in self.lines() if json.loads(line)["step"] <= step]
            write_text(self.metrics, "".join(kept))

    def lines(self) -> Iterator[str]:
        """The whole lines of `metrics.jsonl`; a torn last one is passed over."""
        with self.metrics.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line


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
