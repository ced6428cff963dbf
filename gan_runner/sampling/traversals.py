"""What each code does: samples of the same latents under all values of one code, for observers and `gan-sample`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from gan_runner.system import System


POINTS = 20
"""Where samples are points and no images, so many times the rows are drawn."""


def traverse(
    system: System, code: str | None, rows: int, columns: int, seed: int
) -> Iterator[tuple[str, Tensor, list[str]]]:
    """Of each code, or of one, its name, samples (n · m, *shape) row by row, and the m values that it was given.

    Args:
        system: what is trained, of a game with codes.
        code: by its name; None for all.
        rows: n, how many latents.
        columns: values of each dimension of a continuous code; of a categorical one all are taken.
        seed: of the latents.

    Raises:
        ValueError: there is no such code.
    """
    game: Any = system.game
    if len(system.dataset.shape) != 3:
        rows *= POINTS
    latents = system.noise(rows, seed)
    for name in game.codes if code is None else [code]:
        shown = game.traversal(latents, name, columns)
        yield name, system.sample(shown), game.codes[name].value_labels(columns)
