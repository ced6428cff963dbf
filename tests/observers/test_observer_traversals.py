"""Traversals: a grid a code, drawn while a run goes on and from its checkpoint."""

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image
from tiny_runs import TINY_RUN

from gan_runner.cli import sample
from gan_runner.observers.traversals import Traversals
from gan_runner.plots.grids import draw_traversal, image_grid
from gan_runner.sampling.traversals import POINTS, traverse

SMALL = ["model.q.width=8", "observer.traversals.rows=3", "observer.traversals.columns=4"]


@pytest.fixture
def drawn(gan_run, tmp_path):
    """The folder of a run of two steps on images."""
    options = ["game=infogan", "model=dcgan", *TINY["dcgan"], *SMALL, "trainer.steps=2", "trainer.sample_every=1"]
    options += ["trainer.batch_size=8", "observer.evaluation.samples=16", "logger.mode=disabled", "hydra.run.dir=run"]
    code, _, err = gan_run(*options)
    assert code == 0, err
    return tmp_path / "run"


def test_a_run_draws_each_code_whenever_it_samples_and_a_checkpoint_the_same(drawn, capfd):
    names = {path.name for path in (drawn / "samples").glob("traversal_*")}
    assert names == {f"traversal_c{number}_step_000000{step}.png" for number in (1, 2, 3) for step in (1, 2)}
    with Image.open(drawn / "samples" / "traversal_c2_step_0000002.png") as picture:
        assert picture.size == (4 * 66 + 2, 18 + 3 * 66 + 2)  # values over 16 px, magnified to 64, and 2 between them
    with Image.open(drawn / "samples" / "traversal_c1_step_0000002.png") as picture:
        assert picture.size == (10 * 66 + 2, 18 + 3 * 66 + 2)
    assert (drawn / "samples" / "training.gif").exists()

    sample.main([str(drawn), "--traverse"])
    paths = sorted((drawn / "samples").glob("*_seed0.png"))
    assert capfd.readouterr().out == "".join(f"{path}\n" for path in paths)
    assert [path.name for path in paths] == [f"traversal_c{number}_seed0.png" for number in (1, 2, 3)]
    sample.main([str(drawn), "--traverse", "c3", "--seed", "4"])
    assert capfd.readouterr().out.strip().endswith("traversal_c3_seed4.png")

    for options, message in {
        ("--traverse", "c4"): "there is no such code; choose from c1, c2, c3",
        ("--traverse", "--picture", "x.png"): "there are 3 codes; name one: --traverse c1",
        ("--traverse", "--reject"): "leave out --reject, --weigh, --label and --text",
    }.items():
        with pytest.raises(SystemExit) as ended:
            sample.main([str(drawn), *options])
        assert ended.value.code == 2
        assert message in capfd.readouterr().err


def test_a_row_is_one_latent_and_a_column_one_value(make_system):
    system = make_system("game=infogan", "model=dcgan", *TINY["dcgan"], "model.q.width=8")
    latents = system.noise(2, 7)
    ((name, samples, values),) = traverse(system, "c1", 2, 10, 7)
    assert (name, values) == ("c1", list("0123456789"))
    for row in range(2):
        rows = latents[row : row + 1].repeat(10, 1)
        rows[:, 100 - 96 : 100 - 86] = torch.eye(10)  # behind the four latents
        torch.testing.assert_close(samples[10 * row : 10 * row + 10], system.sample(rows))
    assert {name: values for name, _, values in traverse(system, None, 2, 3, 7)} == {
        "c1": list("0123456789"),
        "c2": ["-2", "0", "2"],
        "c3": ["-2", "0", "2"],
    }


def test_points_are_drawn_by_the_colour_of_their_value(make_system, tmp_path):
    system = make_system("game=infogan", "dataset=ring8", "model=mlp", *TINY["mlp"], "model.q.width=8")
    for name, samples, values in traverse(system, None, 2, 5, 0):
        assert samples.shape == (2 * POINTS * len(values), 2)
        draw_traversal(tmp_path / f"{name}.png", samples, values)
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(100_000)) > len(values)


def test_images_are_a_grid_under_the_values_of_their_columns(tmp_path):
    images = torch.rand(6, 1, 64, 64) * 2 - 1
    draw_traversal(tmp_path / "a.png", images, ["-2", "", "2"])
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.array(picture)
    assert np.array_equal(pixels[18:], image_grid(images, 3))
    inked = [(pixels[:18, 66 * column : 66 * column + 66] < 128).any() for column in range(3)]
    assert inked == [True, False, True]


def test_games_without_codes_are_refused(gan_run, make_system, tmp_path):
    traversals = "{_target_: gan_runner.observers.traversals.Traversals, every: 1}"
    code, _, err = gan_run(*TINY_RUN, f"+observer.traversals={traversals}")
    assert code == 2
    assert "observer.traversals: it needs codes, and this game has none; choose game=infogan" in err
    with pytest.raises(ValueError, match=r"rows=0 must be at least 1"):
        Traversals(every=1, rows=0)
