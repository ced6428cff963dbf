"""Pictures: what is drawn where."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid

from gan_runner.datasets import GaussianMixture, Ring
from gan_runner.pictures import Surface, draw, image_grid


def test_grid_has_each_image_once_in_reading_order():
    images = torch.stack([torch.full((1, 64, 64), value) for value in (-1.0, 0.0, 0.5, 1.0)])
    grid = image_grid(images)
    assert grid.shape == (2 * 66 + 2, 2 * 66 + 2, 3)
    centres = [int(grid[y, x, 0]) for y in (34, 100) for x in (34, 100)]
    assert centres == [0, 128, 191, 255]


def test_small_images_are_magnified_pixel_by_pixel():
    grid = image_grid(torch.tensor([[[[-1.0, 1.0], [1.0, -1.0]]]] * 4))  # 64 px a tile, 2 px apart
    for top in (2, 68):
        assert np.unique(grid[top : top + 32, 2:34]).tolist() == [0]
        assert np.unique(grid[top : top + 32, 34:66]).tolist() == [255]


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


def test_every_regularizer_is_drawn_on_points(make_parts, tmp_path):
    options = ["dataset=ring8", "model=mlp", "model.discriminator.width=8", "regularizer=[minibatch_discrimination]"]
    options.append("regularizer.minibatch_discrimination.kernels=4")
    parts = make_parts(*options)
    draw(tmp_path / "a.png", parts.sample(parts.noise(9, 0)), parts.dataset, parts.surface())
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("n", [1, 2, 7, 9])
@pytest.mark.parametrize("columns", [1, 3, 10])
def test_the_grid_is_torchvisions(n, columns):
    tiles = torch.randint(0, 256, (n, 3, 70, 64), dtype=torch.uint8)
    grid = image_grid(tiles / 127.5 - 1, columns)
    assert np.array_equal(grid, make_grid(tiles, columns, padding=2, pad_value=255).permute(1, 2, 0).numpy())
