"""Latent traversals: samples from fixed latents while one code varies, for observers and `gan-sample`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from gan_runner.system import System


POINTS = 20
"""Factor of the number of rows if samples are points and not images."""


def traverse(
    system: System, code: str | None, rows: int, columns: int, seed: int
) -> Iterator[tuple[str, Tensor, list[str]]]:
    """Yield for each code its name, samples (n · m, *shape) row by row, and its m values as text.

    Args:
        system: a trained system of a game with codes.
        code: name of a code; None for all codes.
        rows: number n of latents.
        columns: values per dimension of a continuous code; all values of a categorical code are used.
        seed: seed of the latents.

    Raises:
        ValueError: the code does not exist.
    """
    game: Any = system.game
    if len(system.dataset.shape) != 3:
        rows *= POINTS
    latents = system.noise(rows, seed)
    for name in game.codes if code is None else [code]:
        shown = game.traversal(latents, name, columns)
        yield name, system.sample(shown), game.codes[name].value_labels(columns)
