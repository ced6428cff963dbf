"""The environment of a run: the content of `environment.json`."""

from __future__ import annotations

import json
import platform
import secrets
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_runner.distributed import processes

if TYPE_CHECKING:
    import torch


PACKAGES = ("gan-runner", "torch", "torchvision", "hydra-core", "omegaconf", "wandb", "numpy")


def environment(device: torch.device, command: Sequence[str]) -> dict[str, Any]:
    """The environment of a run: the command that was typed, commit, versions, device."""
    import torch

    return {
        "command": list(command),
        **commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "cpu_instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": processes.present.size,
    }


def new_wandb_id() -> str:
    """A new id for a W&B run: eight hex digits."""
    return secrets.token_hex(4)


def commit() -> dict[str, Any]:
    """The git commit of this package, and whether files were changed: of its checkout, or when it was installed."""
    installed_commit = Path(__file__).parents[1] / "commit.json"
    if installed_commit.exists():
        return dict(json.loads(installed_commit.read_text(encoding="utf-8")))
    return {"git_sha": git("rev-parse", "HEAD"), "git_dirty": bool(git("status", "--porcelain"))}


def git(*arguments: str) -> str | None:
    """The output of git for the checkout of this package; None if it is not in a checkout, or git fails."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def versions() -> dict[str, str | None]:
    """The versions of this package and of those that it relies on."""
    return {name: installed(name) for name in PACKAGES}


def installed(name: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
