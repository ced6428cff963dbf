"""Checkpoints: tensors and plain values only, so that `torch.load` reads them with `weights_only`.

torch writes a zip archive and does not verify its checksums on reading. So the archive's comment holds the SHA-256 of
everything before it. `torch.load` ignores the comment; this module detects every changed bit by it.
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import random
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ValidationError

from gan_runner.config.resolve import check_saved
from gan_runner.errors import CheckpointError, ConfigError
from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.files import write_atomically

log = logging.getLogger("gan_runner")

FORMAT = 6


class BestValue(BaseModel, strict=True):
    """The best value of a metric so far, its step, whether `min` or `max` is better, and how it was measured."""

    value: float
    step: int
    better: Literal["min", "max"]
    conditions: dict[str, Any]


class DataRead(BaseModel, strict=True):
    """The number of training samples, and a digest of them."""

    count: int
    digest: str


class Content(BaseModel, strict=True):
    """The entries of every checkpoint. Registered parts of a run add more."""

    config: str
    label: str
    data: DataRead | None = None
    identity: str
    wandb_id: str
    step: int
    drawn: int
    images_seen: int | None = None
    rollbacks: int
    elapsed_s: float
    best: dict[str, BestValue]
    measured_on: dict[str, Any]
    variables: dict[str, str] = {}
    random: dict[str, Any]
    system: dict[str, Any]


OWN_NAMES = {"format", *Content.model_fields} - {"best", "random"}
"""Entries that a run writes itself. All others, `best` and `random` too, come from registered parts."""

MARK = b"sha256:"

COMMENT = len(MARK) + 64


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        DiskFull: there is no room for it.
    """
    archive = io.BytesIO()
    torch.save({"format": FORMAT, **compact(state)}, archive)
    write_atomically(path, lambda file: file.write(signed(archive.getvalue())))


def compact(content: Any) -> Any:
    """Copy every tensor that is a view; torch would save all of its storage (the weights of all seeds)."""
    if isinstance(content, torch.Tensor):
        return content.clone() if content.untyped_storage().nbytes() > content.nbytes else content
    if isinstance(content, dict):
        same_kind = copy.copy(content)  # a module's state_dict has attributes beside its entries
        same_kind.update((key, compact(value)) for key, value in content.items())
        return same_kind
    return type(content)(map(compact, content)) if isinstance(content, list | tuple) else content


def signed(archive: bytes) -> bytes:
    """Add the SHA-256 of a zip archive as its comment. The archive must have none: its last two bytes are zero."""
    body = archive[:-2]
    return body + COMMENT.to_bytes(2, "little") + MARK + hashlib.sha256(body).hexdigest().encode()


def is_corrupt(content: bytes) -> bool:
    """Whether a file's content differs from what was signed."""
    return content != signed(content[: -COMMENT - 2] + b"\0\0")


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU without executing code from it. If `last.pt` is broken, read the one before it.

    Raises:
        CheckpointError: there is none, it cannot be read, or it has another format.
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
                problem = str(error).rpartition("; ")[0]  # without its advice
                warn_once(f"{problem}; using {other} of step {state['step']} instead")
                return state
        raise


@cache
def warn_once(line: str) -> None:
    """Log a warning the first time only, because a resumed run reads its checkpoint twice."""
    log.warning(line)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read exactly this file.

    Raises:
        CheckpointError: there is none, it cannot be read, or it has another format.
    """
    if not path.is_file():
        advice = "give the directory of a run that has saved one (outputs/DATE/TIME)"
        if path == RunDirectory(path.parent.parent).best:
            advice = "only a run that measures its objective=METRIC saves one; use the last checkpoint"
        raise CheckpointError(f"there is no checkpoint {path}; {advice}")
    try:
        content = path.read_bytes()
        if content[-COMMENT:-64] != MARK:
            raise ValueError("it has no checksum at its end, so it is incomplete or older than format 3")
        if is_corrupt(content):
            raise ValueError("its content does not match its checksum")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle and torch raise many kinds for a broken file
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({reason}); use another one, or train again"
        ) from error
    check_content(state, path)
    return state


def check_content(state: Any, path: Path) -> None:
    """Check that this is a checkpoint of a run in the current format.

    Raises:
        CheckpointError: it has another format, or entries are missing or wrong.
    """
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {found}, but this version reads only format {FORMAT}; train the run again, "
            "or use the version of gan-runner that saved it"
        )
    try:
        Content.model_validate(state)
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors()))
        raise CheckpointError(
            f"{path} is not the checkpoint of a run: these entries are missing or wrong: {wrong}; use another one"
        ) from error
    try:
        check_saved(state["config"], f"the configuration in {path}")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of all random number generators that a training step may use: Python's, torch's, the GPU's."""
    version, words, gauss = random.getstate()
    return {"python": [version, list(words), gauss], **torch_state(device)}


def torch_state(device: torch.device) -> dict[str, Any]:
    """The states of torch's random number generators."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore the states that `random_state` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    set_torch_state(state, device)


def set_torch_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore the states that `torch_state` returned."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
