"""What is worth keeping from run to run: classifiers, statistics of data.

It lies in the folder that `GAN_RUNNER_CACHE` names, or in ~/.cache/gan-runner, and may be removed at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from gan_runner.errors import DiskFull
from gan_runner.tools.files import remove_partial, write_atomically

log = logging.getLogger("gan_runner")


def folder() -> Path:
    """Where things are kept."""
    chosen = os.environ.get("GAN_RUNNER_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "gan-runner"


def key_of(parts: Iterable[str | bytes]) -> str:
    """Sixteen hex digits that are the same for the same parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def kept(kind: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Tensors and plain values that were made once: read, or made and written.

    What cannot be read is made anew; where nothing can be written, nothing is kept.
    """
    path = folder() / kind / f"{key}.pt"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # not there, or broken, by whatever the reader makes of it
        content = make()
    with suppress(OSError, DiskFull):
        write_atomically(path, lambda file: torch.save(content, file))
        remove_partial(path.parent, older_than_s=3600)
    return content


def trained_once(
    kind: str, key: str, doing: str, train: Callable[[], dict[str, Any]], result: Callable[[dict[str, Any]], str]
) -> dict[str, Any]:
    """What was trained once and then kept: read, or trained; either is told, and how well it does.

    Args:
        kind: of thing.
        key: the same for the same training.
        doing: what is trained, and on what, in words.
        train: what is to be kept.
        result: how well that does, in words.
    """
    fresh = []

    def make() -> dict[str, Any]:
        log.info("training %s", doing)
        fresh.append(True)
        return train()

    content = kept(kind, key, make)
    log.info("%s%s", result(content), "" if fresh else " (kept from before)")
    return content
