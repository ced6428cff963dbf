"""Checkpoints: tensors and plain values only, so that they are read with `weights_only`.

torch writes a zip archive and does not look at its checksums when it reads one. So the archive's comment is the SHA-256
of all that is before it: `torch.load` reads such a file as any other, and a flipped bit is seen here.
"""

from __future__ import annotations

import hashlib
import io
import logging
import random
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from gan_runner.config.resolve import check_saved
from gan_runner.errors import CheckpointError, ConfigError
from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.files import write_atomically

log = logging.getLogger("gan_runner")


FORMAT = 3


READABLE = (2, 3)
"""Of 2 there is no checksum."""


CONTENT = {
    **dict.fromkeys(("config", "label", "identity", "wandb_id"), str),
    **dict.fromkeys(("step", "drawn"), int),
    **dict.fromkeys(("best", "random", "system"), dict),
    "elapsed_s": float,
}
"""What a run's checkpoint holds."""


SINCE = {"rollbacks": int, "measured_on": dict}
"""What it may hold."""


BEST: dict[str, Any] = {"value": (int, float), "step": int, "better": str}
"""Of each figure."""


MARK = b"sha256:"


COMMENT = len(MARK) + 64


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        DiskFull: there is no room for it.
    """
    archive = io.BytesIO()
    torch.save({"format": FORMAT, **state}, archive)
    write_atomically(path, lambda file: file.write(signed(archive.getvalue())))


def signed(archive: bytes) -> bytes:
    """A zip archive without a comment, which its last two bytes say, with its SHA-256 as one."""
    body = archive[:-2]
    return body + COMMENT.to_bytes(2, "little") + MARK + hashlib.sha256(body).hexdigest().encode()


def is_torn(content: bytes) -> bool:
    """Whether a file has changed since it was signed; of one that never was, whether its archive's sums disagree."""
    if content[-COMMENT:-64] == MARK:
        return content != signed(content[: -COMMENT - 2] + b"\0\0")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.testzip() is not None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; nothing in it is executed. Where a run's last is lost, the one before it is read.

    Raises:
        CheckpointError: if there is none, it cannot be read, or its format is another one.
    """
    path = path.absolute()
    directory = RunDirectory(path.parent.parent)
    earlier = directory.earlier if path == directory.last else []
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        for other in earlier:
            with suppress(CheckpointError):
                state = read_checkpoint(other)
                say_once(f"{error}; {other} is taken instead, of step {state['step']}")
                return state
        raise


@cache
def say_once(line: str) -> None:
    """A warning; a run that goes on reads its checkpoint for its options, and again for all else."""
    log.warning(line)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read this file and no other.

    Raises:
        CheckpointError: if there is none, it cannot be read, or its format is another one.
    """
    if not path.is_file():
        advice = "give the directory of a run that has saved one (outputs/<date>/<time>)"
        if path == RunDirectory(path.parent.parent).best:
            advice = "a run with objective=FIGURE keeps one; take the last instead"
        raise CheckpointError(f"there is no checkpoint {path}; {advice}")
    try:
        content = path.read_bytes()
        if is_torn(content):
            raise ValueError("its content does not agree with its checksum")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle and torch raise whatever a broken file leads them to
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint ({reason})") from error
    if not isinstance(state, dict) or state.get("format") not in READABLE:
        found = state.get("format") if isinstance(state, dict) else None
        known = " and ".join(map(str, READABLE))
        raise CheckpointError(f"{path} has checkpoint format {found}, and this version reads formats {known}")
    wrong = [key for key, kind in CONTENT.items() if not isinstance(state.get(key), kind)]
    wrong += [key for key, kind in SINCE.items() if not isinstance(state.get(key, kind()), kind)]
    if "best" not in wrong and not all(is_best(best) for best in state["best"].values()):
        wrong.append("best")
    if wrong:
        raise CheckpointError(
            f"{path} is no checkpoint of a run: it lacks {', '.join(wrong)}, or has something else in their place"
        )
    try:
        check_saved(state["config"], f"the configuration in {path}")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    return state


def is_best(best: Any) -> bool:
    """Whether this is the best value of a figure, as a run keeps it."""
    kinds = isinstance(best, dict) and all(isinstance(best.get(key), kind) for key, kind in BEST.items())
    return kinds and best["better"] in ("min", "max")


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of the random number generators that a step may draw from."""
    version, words, gauss = random.getstate()
    return {"python": [version, list(words), gauss], **torch_state(device)}


def torch_state(device: torch.device) -> dict[str, Any]:
    """The states of torch's."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on drawing from there."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    set_torch_state(state, device)


def set_torch_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on drawing from there by torch's."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
