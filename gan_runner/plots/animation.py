"""Animated pictures: how samples changed during a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gan_runner.tools.files import write_atomically

FRAMES = 100
"""At most so many are in an animation."""

WIDEST = 900
"""Pixels across an animation, at most."""


def animate(path: Path, frames: Sequence[Path], seconds: float = 10.0, last_s: float = 2.0) -> None:
    """Write a looping GIF of pictures, each of the size of the last one, which stays longest.

    One palette, of some of them together, serves all: what does not change is the same in every frame, and is stored
    once. Of many frames some are left out, evenly.

    Args:
        path: of the GIF.
        frames: pictures in order, two at least.
        seconds: how long all but the last take together; each of few frames takes half a second.
        last_s: seconds that the last one stays.
    """
    chosen = evenly(frames, FRAMES)
    with Image.open(chosen[-1]) as final:
        width = min(final.width, WIDEST)
        size = (width, round(final.height * width / final.width))
    palette = shared_palette([read_frame(frame, size) for frame in evenly(chosen, 5)])
    each_ms = min(500, round(1000 * seconds / len(chosen)))
    first, *rest = chosen

    def indexed(frames: Sequence[Path]) -> Iterator[Image.Image]:
        for frame in frames:
            yield read_frame(frame, size).quantize(palette=palette, dither=Image.Dither.NONE)

    def write(file: Any) -> None:
        next(indexed([first])).save(
            file,
            format="GIF",
            save_all=True,
            append_images=indexed(rest),
            duration=[each_ms] * len(rest) + [round(1000 * last_s)],
            loop=0,
            optimize=True,
        )

    write_atomically(path, write)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most n of them, evenly spaced, the first and the last included."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def read_frame(path: Path, size: tuple[int, int]) -> Image.Image:
    """A picture in colours, of this width and height."""
    with Image.open(path) as picture:
        frame = picture.convert("RGB")
    return frame if frame.size == size else frame.resize(size, Image.Resampling.LANCZOS)


def shared_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """The 255 colours, and one free for what does not change, that suit pictures of one size together.

    Colours are chosen to cover those that there are, rare ones too, from every third pixel a side.
    """
    width, height = (max(1, side // 3) for side in pictures[0].size)
    together = Image.new("RGB", (width, height * len(pictures)))
    for number, picture in enumerate(pictures):
        together.paste(picture.resize((width, height), Image.Resampling.NEAREST), (0, number * height))
    return together.quantize(255, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
