"""A cache that runs share, for trained classifiers and statistics of data.

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
    """The folder of the cache."""
    chosen = os.environ.get("GAN_RUNNER_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "gan-runner"


def key_of(parts: Iterable[str | bytes]) -> str:
    """Sixteen hex digits that identify the parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def bytes_of(tensor: torch.Tensor) -> bytes:
    """The content of a tensor."""
    return tensor.detach().cpu().numpy().tobytes()


def load_or_make(kind: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Tensors and plain values, read from the cache, or made and written to it.

    Unreadable entries are made again. If the cache is not writable, nothing is cached.
    """
    path = folder() / kind / f"{key}.pt"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # missing or broken: torch raises many kinds
        content = make()
    with suppress(OSError, DiskFull):
        write_atomically(path, lambda file: torch.save(content, file))
        remove_partial(path.parent, older_than_s=3600)
    return content


def train_or_load(
    kind: str, key: str, task: str, train: Callable[[], dict[str, Any]], result: Callable[[dict[str, Any]], str]
) -> dict[str, Any]:
    """A trained model from the cache, or trained now and cached. Logs which of the two, and the model's quality.

    Args:
        kind: the kind of model, a subfolder of the cache.
        key: identifies the training.
        task: what is trained on what, for the log.
        train: returns the content to cache.
        result: describes the quality of a content, for the log.
    """
    fresh = []

    def make() -> dict[str, Any]:
        log.info("training %s", task)
        fresh.append(True)
        return train()

    content = load_or_make(kind, key, make)
    log.info("%s%s", result(content), "" if fresh else " (from the cache)")
    return content
