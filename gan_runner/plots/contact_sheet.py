"""A contact sheet with the last picture of each run of a sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from gan_runner.runs.saved import runs_in
from gan_runner.runs.sweep import SweepCallback, distinguishing_words

MOST = 24
"""Maximal number of pictures on a sheet."""


class SweepSamples(SweepCallback):
    """Writes `samples.png` at the end of a sweep: the last picture of each run, titled with its overrides.

    If there are too many runs, runs that differ only in the seed are represented by the first one.
    """

    def conclude(self, directory: Path) -> None:
        """Collect the pictures and draw the sheet."""
        runs = runs_in(directory)
        found = {}
        for name, run in zip(distinguishing_words([run.overrides for run in runs]), runs):
            pictures = sorted(run.directory.samples.glob("step_*.png"))
            if pictures:
                found[name or str(run.path.relative_to(directory))] = pictures[-1]
        if len(found) > MOST:
            found = one_seed_each(found)
        if len(found) > 1:
            draw_sheet(directory / "samples.png", found)
            print(f"the last samples of each run: {directory / 'samples.png'}")


def one_seed_each(found: Mapping[str, Path]) -> dict[str, Path]:
    """Return the first picture of the names that differ only in `seed=`."""
    kinds: dict[str, str] = {}
    for name in found:
        kinds.setdefault(" ".join(word for word in name.split() if not word.startswith("seed=")), name)
    return {name: found[name] for name in kinds.values()}


def draw_sheet(path: Path, pictures: Mapping[str, Path]) -> None:
    """Write a PNG of titled pictures in an approximately square layout; pictures beyond the maximum are left out.

    Args:
        path: path of the PNG.
        pictures: pictures by title, of any sizes.
    """
    from matplotlib.figure import Figure  # slow imports, needed only at the end of a sweep
    from PIL import Image

    from gan_runner.plots.scatter import save_figure

    shown = {name: Image.open(picture).convert("RGB") for name, picture in list(pictures.items())[:MOST]}
    shape = sum(image.width / image.height for image in shown.values()) / len(shown)
    columns = min(len(shown), math.ceil(math.sqrt(len(shown) / shape)))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3.6 * shape * columns, 4.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, image) in zip(figure.axes, shown.items()):
        axes.imshow(image, interpolation="none" if image.width > 360 else "nearest")
        axes.set_title(name, fontsize=10, parse_math=False)
    if len(pictures) > MOST:
        figure.suptitle(f"the first {MOST} of {len(pictures)}")
    save_figure(path, figure)
