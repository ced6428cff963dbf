"""Pictures: what is drawn where."""

import numpy as np
import pytest
import torch
from combinations import LOSSES, LOSSES_WITHOUT_DISCRIMINATOR
from conftest import TINY, thinned
from methods import options_of, prepared
from PIL import Image
from tiny_runs import TINY_RUN
from torch.testing import assert_close
from torchvision.utils import make_grid

from gan_runner.datasets.toy import GaussianMixture, Ring
from gan_runner.plots.animation import animate
from gan_runner.plots.grids import draw_pairs, draw_paths, flanked, image_grid, pairs_grid
from gan_runner.plots.samples import draw
from gan_runner.plots.scatter import scatter
from gan_runner.plots.surfaces import Field, Surface, critic_surface, sample_gradient_field
from gan_runner.runs.directory import mark_own


def test_grid_has_each_image_once_in_reading_order():
    images = torch.stack([torch.full((1, 64, 64), value) for value in (-1.0, 0.0, 0.5, 1.0)])
    grid = image_grid(images)
    assert grid.shape == (2 * 66 + 2, 2 * 66 + 2, 3)
    centres = [int(grid[y, x, 0]) for y in (34, 100) for x in (34, 100)]
    assert centres == [0, 128, 191, 255]


def test_small_images_are_enlarged_smoothly():
    images = torch.rand(4, 3, 8, 8) - 0.5  # Pillow cuts off what lies beyond black and white after each of two passes
    grid = image_grid(images)  # 64 px a tile, 2 px apart
    for tile, image in zip((grid[2:66, 2:66], grid[2:66, 68:132]), images):
        pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
        expected = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(tile.astype(int), np.asarray(expected).astype(int), atol=2)


def test_images_of_one_grey_stay_that_grey_when_enlarged():
    grid = image_grid(torch.tensor([-1.0, 0.0, 0.5, 1.0]).view(4, 1, 1, 1).expand(-1, 1, 8, 8))
    assert [np.unique(grid[y : y + 64, x : x + 64]).tolist() for y in (2, 68) for x in (2, 68)] == [
        [0],
        [128],
        [191],
        [255],
    ]


def test_a_long_caption_stands_nearer_to_its_own_row_than_to_the_next(tmp_path):
    captions = ["a long caption of the first row", "and a long one of the second"]
    draw(tmp_path / "a.png", torch.full((4, 1, 64, 64), 0.5), columns=2, captions=captions)  # grey, and letters black
    with Image.open(tmp_path / "a.png") as picture:
        darkest = np.asarray(picture.convert("L")).min(1)
    image, ink = (darkest == 191).nonzero()[0], (darkest < 128).nonzero()[0]
    first = ink[ink < image[64]]  # that caption lies between the rows
    assert 0 < 3 * (first[0] - image[63]) < image[64] - first[-1]
    assert len(first) < len(ink)


@pytest.mark.parametrize(
    ("density", "panels"),
    [
        (Ring(), 2),
        (GaussianMixture(means=((-1.0,), (1.0,)), std=0.1), 2),
        (GaussianMixture(means=((0.0,) * 5, (1.0,) * 5), std=0.1), 1),
    ],
)
def test_points_of_any_dimension_are_drawn(tmp_path, density, panels):
    samples = density.sample(50, torch.Generator().manual_seed(0))[0]
    draw(tmp_path / "a.png", samples, density, Surface("the sum", lambda x: x.sum(1)))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (500 * panels, 500)


def test_every_regularizer_is_drawn_on_points(make_system, tmp_path):
    options = ["dataset=ring8", "model=mlp", "model.discriminator.width=8", "regularizer=[minibatch_discrimination]"]
    options.append("regularizer.minibatch_discrimination.kernels=4")
    system = make_system(*options)
    draw(tmp_path / "a.png", system.sample(system.noise(9, 0)), system.dataset, critic_surface(system))
    assert (tmp_path / "a.png").stat().st_size > 1000


# Points that were made for something


def test_points_have_the_colour_of_what_they_were_made_for_and_few_are_named():
    points = torch.arange(24.0).view(12, 2)
    axes = scatter(points, captions=["b", "a", "c"]).axes[0]  # four in a row of each
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["a", "b", "c"]
    drawn = dict(zip(names, (drawn.get_offsets() for drawn in axes.collections)))
    for name, first in {"b": 0, "a": 4, "c": 8}.items():
        assert np.array_equal(drawn[name], points[first : first + 4])
    colours = {tuple(drawn.get_facecolor()[0]) for drawn in axes.collections}
    assert len(colours) == 3


def test_of_many_there_are_colours_and_no_names():
    axes = scatter(torch.randn(44, 2), captions=[str(number) for number in range(11)] * 4).axes[0]
    assert axes.get_legend() is None
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [4] * 11
    assert len({tuple(drawn.get_facecolor()[0]) for drawn in axes.collections}) == 11


@pytest.mark.parametrize(
    ("captions", "named"), [((), ["samples"]), ("ab", ["a", "b"]), (list("abcdefghijkl"), ["samples"])]
)
def test_on_a_line_they_are_on_top_of_each_other(captions, named):
    axes = scatter(torch.linspace(-1, 1, 24).unsqueeze(1), captions=captions).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == named
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 2, 7, 9])
@pytest.mark.parametrize("columns", [1, 3, 10])
def test_the_grid_is_torchvisions(n, columns):
    tiles = torch.randint(0, 256, (n, 3, 70, 64), dtype=torch.uint8)
    grid = image_grid(tiles / 127.5 - 1, columns)
    assert np.array_equal(grid, make_grid(tiles, columns, padding=2, pad_value=255).permute(1, 2, 0).numpy())


# The field


def field_of(make_system, critic, *options):
    """The push on points by a critic that is a function, and its samples' and reals' scores."""
    system = make_system("dataset=ring8", "model=mlp", *TINY["mlp"], *options)
    system.networks["discriminator"].forward = critic
    generator = torch.Generator().manual_seed(0)
    real, samples = (torch.randn(1000, 2, generator=generator) + shift for shift in (0, 1))
    return sample_gradient_field(system, real, samples), critic(real), critic(samples)


SLOPE = torch.tensor([0.6, -1.5])
POINTS = torch.randn(441, 2, generator=torch.Generator().manual_seed(1))


def linear(x):
    return x @ SLOPE + 0.3


def curved(x):
    return (x * SLOPE).sin().sum(1)


def gradient_of_curved(x):
    return SLOPE * (x * SLOPE).cos()


def test_a_linear_critic_of_wgan_pushes_everything_alike(make_system):
    field, _, _ = field_of(make_system, linear, "loss=wgan")
    assert torch.allclose(field.arrows(POINTS), SLOPE.expand(441, 2), atol=1e-5)


def test_the_non_saturating_push_is_the_critics_slope_by_the_chance_that_it_sees_a_fake(make_system):
    field, _, _ = field_of(make_system, curved)
    truth = (-curved(POINTS)).sigmoid().unsqueeze(1) * gradient_of_curved(POINTS)
    assert torch.allclose(field.arrows(POINTS), truth, atol=1e-5)


def test_a_relativistic_push_is_the_mean_over_the_data(make_system):
    field, real, _ = field_of(make_system, curved, "loss=relativistic")
    chance = (real.unsqueeze(0) - curved(POINTS).unsqueeze(1)).sigmoid().mean(1, keepdim=True)
    assert torch.allclose(field.arrows(POINTS), chance * gradient_of_curved(POINTS), atol=0.03)


def test_a_relativistic_average_push_is_that_on_one_fake_among_the_others(make_system):
    field, real, fake = field_of(make_system, curved, "loss=relativistic_average")
    chance = (real.mean() - curved(POINTS)).sigmoid() + (real - fake.mean()).sigmoid().mean()
    assert torch.allclose(field.arrows(POINTS), chance.unsqueeze(1) * gradient_of_curved(POINTS), atol=0.02)


@pytest.mark.parametrize(
    "loss", thinned([loss for loss in LOSSES if loss not in (*LOSSES_WITHOUT_DISCRIMINATOR, "feature_matching")], 3)
)
def test_a_field_leaves_everything_as_it_was(make_system, loss):
    system = prepared(make_system(*options_of(("mlp", loss, None, "points"))))
    before = {name: value.clone() for name, value in torch.nn.ModuleDict(system.networks).state_dict().items()}
    random = torch.get_rng_state()
    samples = system.sample(system.noise(50, 0))
    arrows = sample_gradient_field(
        system, torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), samples
    ).arrows(POINTS)
    assert arrows.shape == POINTS.shape
    assert not arrows.requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    for network in system.networks.values():
        assert network.training
        assert all(p.grad is None for p in network.parameters())
    assert_close(torch.nn.ModuleDict(system.networks).state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        ["loss=mmd", "model.generator.width=8"],
        ["loss=feature_matching"],
        ["regularizer=[unrolled]"],
        ["game=bilinear"],
    ],
)
def test_there_is_no_field_where_the_generator_descends_no_function_of_scores(make_system, options):
    small = [] if {"loss=mmd", "game=bilinear"} & set(options) else TINY["mlp"]
    points = [] if "game=bilinear" in options else ["dataset=ring8", "model=mlp"]
    system = make_system(*points, *small, *options)
    assert sample_gradient_field(system, torch.zeros(9, 2), torch.zeros(9, 2)) is None


@pytest.mark.parametrize("slope", [0.0, 1.0, float("inf")])
def test_no_push_and_a_push_that_is_everywhere_alike_are_drawn_too(tmp_path, slope):
    field = Field("a field", lambda x: torch.full_like(x, slope))
    draw(tmp_path / "a.png", torch.randn(9, 2), None, None, field, 7)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1000, 500)


# In motion


def frames_in(folder, sizes):
    """Pictures whose number is the row of their white line."""
    paths = [folder / f"step_{number:07d}.png" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes)):
        pixels = np.zeros((size[1], size[0], 3), np.uint8)
        pixels[number] = 255
        Image.fromarray(pixels).save(path)
    return paths


def test_an_animation_has_every_frame_in_order_and_the_last_stays(tmp_path):
    animate(tmp_path / "a.gif", frames_in(tmp_path, [(40, 30)] * 5))
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (5, (40, 30), 0)
        for number in range(5):
            gif.seek(number)
            assert np.asarray(gif.convert("L"))[:, 9].argmax() == number
            assert gif.info["duration"] == (500 if number < 4 else 2000)


def test_many_frames_are_thinned_out_evenly(tmp_path):
    animate(tmp_path / "a.gif", frames_in(tmp_path, [(8, 200)] * 199))
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 100
        gif.seek(99)
        assert np.asarray(gif.convert("L"))[:, 4].argmax() == 198


def test_frames_take_the_size_of_the_last_which_is_not_too_wide(tmp_path):
    animate(tmp_path / "a.gif", frames_in(tmp_path, [(1000, 500), (300, 300), (1800, 600)]))
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size) == (3, (900, 300))


def test_a_run_is_animated_up_to_its_last_step(gan_run, tmp_path):
    line = [*TINY_RUN, "trainer.sample_every=2", "hydra.run.dir=run"]
    (tmp_path / "run" / "samples").mkdir(parents=True)
    mark_own(tmp_path / "run")
    frames_in(tmp_path / "run" / "samples", [(9, 9)] * 6)[0].unlink()  # as a run leaves them that was killed later
    for number in (1, 3):
        (tmp_path / "run" / "samples" / f"step_{number:07d}.png").unlink()
    code, _, err = gan_run(*line)
    assert code == 0, err
    with Image.open(tmp_path / "run" / "samples" / "training.gif") as gif:
        assert (gif.n_frames, gif.size) == (2, (900, 300))


def test_rows_stand_above_their_counterparts():
    images = torch.rand(5, 1, 64, 64) * 2 - 1
    grid = pairs_grid(images, -images, 3)
    assert grid.shape == (2 * (2 * 66 + 2) + 12, 3 * 66 + 2, 3)
    np.testing.assert_array_equal(grid[:68], image_grid(images[:3], 3))
    np.testing.assert_array_equal(grid[66:134], image_grid(-images[:3], 3))
    below = grid[134 + 12 :]
    np.testing.assert_array_equal(below[:68, : 2 * 66 + 2], image_grid(images[3:], 2))
    assert (below[:, 2 * 66 + 2 :] == 255).all()  # there is no sixth
    assert (grid[134:146] == 255).all()


def test_rows_stand_between_columns():
    rows, first, last = torch.rand(2, 3, 1, 64, 64), torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64)
    both, left = flanked(rows, first, last), flanked(rows, first)
    np.testing.assert_array_equal(both[:, : left.shape[1]], left)
    np.testing.assert_array_equal(both[:, -68:], image_grid(last, 1))
    np.testing.assert_array_equal(left[:, 80:], image_grid(rows.flatten(0, 1), 3, gap=2))


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_points_are_joined_by_lines(tmp_path, dim):
    first, last = torch.randn(2, 9, dim)
    draw_pairs(tmp_path / "pairs.png", first, last, 3, "made")
    draw_paths(tmp_path / "paths.png", torch.randn(9, 4, dim), first, last)
    for name in ("pairs", "paths"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (600, 600)
