"""Animations of the samples of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gan_runner.tools.files import write_atomically

FRAMES = 100
"""Maximal number of frames."""

WIDEST = 900
"""Maximal width in pixels."""


def animate(path: Path, frames: Sequence[Path], seconds: float = 10.0, last_s: float = 2.0) -> None:
    """Write a looping GIF of pictures, resized to the last one.

    All frames share one palette, so unchanged regions are stored once. Long sequences are thinned out evenly.

    Args:
        path: path of the GIF.
        frames: pictures in order, at least two.
        seconds: total duration without the last frame; a frame takes at most half a second.
        last_s: duration of the last frame in seconds.
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
    """Return at most n items, evenly spaced, including the first and the last."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def read_frame(path: Path, size: tuple[int, int]) -> Image.Image:
    """Read a picture in RGB, resized to this width and height."""
    with Image.open(path) as picture:
        frame = picture.convert("RGB")
    return frame if frame.size == size else frame.resize(size, Image.Resampling.LANCZOS)


def shared_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return a palette of 255 colours for pictures of one size; one entry stays free for unchanged pixels.

    The colours are chosen from every third pixel per side to cover rare colours too.
    """
    width, height = (max(1, side // 3) for side in pictures[0].size)
    together = Image.new("RGB", (width, height * len(pictures)))
    for number, picture in enumerate(pictures):
        together.paste(picture.resize((width, height), Image.Resampling.NEAREST), (0, number * height))
    return together.quantize(255, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
