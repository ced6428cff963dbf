"""The last pictures of a sweep's runs, in one."""

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_runner.plots.contact_sheet import MOST, SweepSamples, draw_sheet, one_seed_each

COLOURS = [(255, 0, 0), (0, 160, 0), (0, 0, 255)]


@pytest.fixture
def sweep(tmp_path):
    """A sweep's directory, and what adds a run with two pictures, of which the last has a colour of its own."""

    def add(index, overrides, colour):
        samples = tmp_path / str(index) / "samples"
        samples.mkdir(parents=True)
        (tmp_path / str(index) / "overrides.yaml").write_text(json.dumps(overrides))
        (tmp_path / str(index) / "summary.json").write_text(json.dumps({"status": "completed", "best": {}}))
        for step, filled in ((0, (0, 0, 0)), (500, colour)):
            Image.new("RGB", (64, 64), filled).save(samples / f"step_{step:07d}.png")
        return samples

    return add


def config_of(directory):
    """What Hydra tells a callback of a sweep in this directory."""
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(directory)}}})


def area(path: Path, colour):
    """The part of the picture that has this colour."""
    with Image.open(path) as picture:
        return (np.asarray(picture.convert("RGB")) == colour).all(2).mean()


def test_the_last_picture_of_every_run_is_on_it_at_one_size(sweep, tmp_path, capsys):
    for index, colour in enumerate(COLOURS):
        sweep(index, [f"loss={'abc'[index]}", "seed=0"], colour)
    SweepSamples().on_multirun_end(config_of(tmp_path))
    areas = [area(tmp_path / "samples.png", colour) for colour in COLOURS]
    assert min(areas) > 0.1
    assert max(areas) < 1.05 * min(areas)
    assert area(tmp_path / "samples.png", (0, 0, 0)) < 0.02  # text, and not the pictures of step 0
    assert f"the last samples of each run: {tmp_path / 'samples.png'}" in capsys.readouterr().out


def test_pictures_of_a_run_that_failed_early_are_left_out(sweep, tmp_path):
    for index, colour in enumerate(COLOURS):
        samples = sweep(index, [f"seed={index}"], colour)
    for path in samples.iterdir():
        path.unlink()
    SweepSamples().on_multirun_end(config_of(tmp_path))
    assert area(tmp_path / "samples.png", COLOURS[1]) > 0.1


def test_one_picture_needs_no_sheet(sweep, tmp_path):
    sweep(0, ["seed=0"], COLOURS[0])
    SweepSamples().on_multirun_end(config_of(tmp_path))
    assert not (tmp_path / "samples.png").exists()


def test_a_big_sweep_shows_one_seed_of_each(tmp_path):
    found = {f"loss={loss} seed={seed}": Path(f"{loss}{seed}") for loss in "ab" for seed in range(MOST)}
    assert one_seed_each(found) == {"loss=a seed=0": Path("a0"), "loss=b seed=0": Path("b0")}


def test_more_than_fit_are_cut(tmp_path):
    Image.new("RGB", (8, 8), COLOURS[0]).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), COLOURS[1]).save(tmp_path / "b.png")
    draw_sheet(tmp_path / "all.png", {str(i): tmp_path / ("a.png" if i < MOST else "b.png") for i in range(MOST + 3)})
    assert area(tmp_path / "all.png", COLOURS[0]) > 0.3
    assert area(tmp_path / "all.png", COLOURS[1]) == 0
