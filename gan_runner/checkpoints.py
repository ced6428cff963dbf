"""Checkpoints: tensors and plain values only, so that they are read with `weights_only`."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import torch

from gan_runner.errors import CheckpointError
from gan_runner.files import RunDirectory, write_atomically

FORMAT = 2


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    write_atomically(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; nothing in it is executed.

    Raises:
        CheckpointError: if there is none, it cannot be read, or its format is another one.
    """
    if not path.is_file():
        advice = "give the directory of a run that has saved one (outputs/<date>/<time>)"
        if path == RunDirectory(path.parent.parent).best:
            advice = "a run with objective=FIGURE keeps one; take the last instead"
        raise CheckpointError(f"there is no checkpoint {path}; {advice}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0][:120]
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({reason}); use another one from the same directory"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise CheckpointError(f"{path} has checkpoint format {found}, and this version reads format {FORMAT}")
    return state


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
