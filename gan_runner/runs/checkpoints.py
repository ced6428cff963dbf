"""Checkpoints: tensors and plain values only, so that `torch.load` reads them with `weights_only`.

torch writes a zip archive, and does not verify its checksums on reading. So the archive's comment is the SHA-256 of
everything before it: `torch.load` reads such a file as any other, and a flipped bit is detected here.
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

FORMAT = 4


class BestValue(BaseModel, strict=True):
    """The best value of a metric so far, when it was reached, and whether less or more is better."""

    value: float
    step: int
    better: Literal["min", "max"]


class Content(BaseModel, strict=True):
    """What every checkpoint holds; what else a run registers stands beside it."""

    config: str
    label: str
    identity: str
    wandb_id: str
    step: int
    drawn: int
    rollbacks: int
    elapsed_s: float
    best: dict[str, BestValue]
    measured_on: dict[str, Any]
    random: dict[str, Any]
    system: dict[str, Any]


OWN_NAMES = {"format", *Content.model_fields} - {"best", "random"}
"""Names in a checkpoint that a run writes by itself; `best` and `random` it registers, as others do their parts."""

MARK = b"sha256:"

COMMENT = len(MARK) + 64


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        DiskFull: there is no room for it.
    """
    archive = io.BytesIO()
    torch.save({"format": FORMAT, **compact(state)}, archive)
    write_atomically(path, lambda file: file.write(signed(archive.getvalue())))


def compact(content: Any) -> Any:
    """The same content without views: torch saves the whole storage that a view looks into, as of all stacked seeds."""
    if isinstance(content, torch.Tensor):
        return content.clone() if content.untyped_storage().nbytes() > content.nbytes else content
    if isinstance(content, dict):
        same_kind = copy.copy(content)  # a module's state_dict is more than a dict
        same_kind.update((key, compact(value)) for key, value in content.items())
        return same_kind
    return type(content)(map(compact, content)) if isinstance(content, list | tuple) else content


def signed(archive: bytes) -> bytes:
    """Sign a zip archive that has no comment, as its last two bytes say: its SHA-256 becomes its comment."""
    body = archive[:-2]
    return body + COMMENT.to_bytes(2, "little") + MARK + hashlib.sha256(body).hexdigest().encode()


def is_corrupt(content: bytes) -> bool:
    """Whether a file is not what was signed."""
    return content != signed(content[: -COMMENT - 2] + b"\0\0")


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; nothing in it is executed. If a run's last is broken, the one before it is read.

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
    """A warning, the first time: a run that resumes reads its checkpoint for the options, and again for the weights."""
    log.warning(line)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read this file, and none in its place.

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
        if content[-COMMENT:-64] != MARK:
            raise ValueError("it has no checksum at its end, so it is cut short, or older than format 3")
        if is_corrupt(content):
            raise ValueError("its content does not agree with its checksum")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle and torch raise whatever a broken file leads them to
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint ({reason})") from error
    check_content(state, path)
    return state


def check_content(state: Any, path: Path) -> None:
    """Check that this is a checkpoint of a run, and of this version.

    Raises:
        CheckpointError: naming what is missing or of another kind.
    """
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {found}, and this version reads format {FORMAT} alone; train the run anew, "
            "or use the version of gan-runner that saved it"
        )
    try:
        Content.model_validate(state)
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors()))
        raise CheckpointError(
            f"{path} is no checkpoint of a run: it lacks {wrong}, or has something else in their place"
        ) from error
    try:
        check_saved(state["config"], f"the configuration in {path}")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of the random number generators that a step may draw from."""
    version, words, gauss = random.getstate()
    return {"python": [version, list(words), gauss], **torch_state(device)}


def torch_state(device: torch.device) -> dict[str, Any]:
    """The states of torch's random number generators."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Continue the random numbers from there."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    set_torch_state(state, device)


def set_torch_state(state: dict[str, Any], device: torch.device) -> None:
    """Continue torch's random numbers from there."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
