"""The last pictures of the runs of a sweep, in one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gan_runner.runs.saved import runs_in
from gan_runner.runs.sweep import sweep_directory, told_apart

MOST = 24
"""Pictures on one sheet."""


class SweepSamples(Callback):
    """At the end of a sweep, `samples.png` in its directory: the last picture of each run under what was typed for it.

    Of runs that differ in the seed alone it has the first, if there are more than fit.
    """

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Look for the pictures; draw."""
        directory = sweep_directory(config)
        runs = runs_in(directory)
        found = {}
        for name, run in zip(told_apart([run.overrides for run in runs]), runs):
            pictures = sorted(run.directory.samples.glob("step_*.png"))
            if pictures:
                found[name or str(run.path.relative_to(directory))] = pictures[-1]
        if len(found) > MOST:
            found = one_seed_each(found)
        if len(found) > 1:
            draw_sheet(directory / "samples.png", found)
            print(f"the last samples of each run: {directory / 'samples.png'}")


def one_seed_each(found: Mapping[str, Path]) -> dict[str, Path]:
    """Of the names that differ in `seed=` alone the first."""
    kinds: dict[str, str] = {}
    for name in found:
        kinds.setdefault(" ".join(word for word in name.split() if not word.startswith("seed=")), name)
    return {name: found[name] for name in kinds.values()}


def draw_sheet(path: Path, pictures: Mapping[str, Path]) -> None:
    """A PNG of pictures under their names, as near to a square as they allow; the first of them if there are too many.

    Args:
        path: of the PNG.
        pictures: of any sizes.
    """
    from matplotlib.figure import Figure  # these only where a sweep has ended
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
        axes.set_title(name, fontsize=10)
    if len(pictures) > MOST:
        figure.suptitle(f"the first {MOST} of {len(pictures)}")
    save_figure(path, figure)
