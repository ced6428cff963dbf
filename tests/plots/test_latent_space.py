"""The picture of a latent space: axes of a known covariance, quantiles of a known distribution."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.plots.latent_space import draw_latent_space, groups_of, principal_axes, quantiles


@pytest.fixture
def drawn():
    return torch.randn(4000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_axes_are_those_of_most_variance(drawn):
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    codes = drawn * torch.tensor([1.0, 6.0, 0.5, 3.0, 0.2]) @ rotation + 4
    mean, axes, shares = principal_axes(codes)
    torch.testing.assert_close(mean, codes.mean(0))
    for axis, direction in zip(axes.T, (rotation[1], rotation[3])):
        assert (axis @ direction).abs() > 0.999
        assert axis.abs().max() == axis.max()
    torch.testing.assert_close(axes.T @ axes, torch.eye(2, dtype=torch.float64))
    total = 1 + 36 + 0.25 + 9 + 0.04
    assert shares.tolist() == pytest.approx([36 / total, 9 / total], abs=0.02)


def test_codes_in_a_plane_keep_their_distances(drawn):
    codes = drawn[:50, :2]
    mean, axes, shares = principal_axes(codes)
    torch.testing.assert_close(torch.cdist((codes - mean) @ axes, (codes - mean) @ axes), torch.cdist(codes, codes))
    assert shares.sum() == pytest.approx(1)


def test_on_a_line_the_second_axis_is_nothing(drawn):
    _, axes, shares = principal_axes(drawn[:, :1])
    assert axes.tolist() == [[1, 0]]
    assert shares.tolist() == [1, 0]


def test_quantiles_of_the_prior_itself_are_the_diagonal_and_scale_with_codes(drawn):
    expected, together, each = quantiles(drawn, drawn)
    np.testing.assert_array_equal(expected, together)
    assert np.abs(each - expected[:, None]).max() < 0.25  # the outermost of 199
    _, moved, _ = quantiles(2 * drawn - 1, drawn)
    np.testing.assert_allclose(moved, 2 * expected - 1)


def test_of_many_coordinates_some_are_shown(drawn):
    expected, together, each = quantiles(torch.randn(10, 1000), torch.randn(10, 1000), 7)
    assert (expected.shape, together.shape, each.shape) == ((7,), (7,), (7, 64))


def test_colours_are_classes_or_the_first_group_of_attributes():
    number, names = groups_of(Classes(("a", "b")), torch.tensor([1, 0]))
    assert (number.tolist(), names) == ([1, 0], ("a", "b"))
    labels = Attributes(("big", "red", "blue", "round", "square"), (("red", "blue"), ("round", "square")))
    number, names = groups_of(labels, torch.tensor([[1, 0, 1, 1, 0], [0, 1, 0, 0, 1]]))
    assert (number.tolist(), names) == ([1, 0], ("red", "blue"))
    assert groups_of(Attributes(("big",)), torch.ones(1, 1)) is None
    assert groups_of(None, torch.ones(1)) is None
    assert groups_of(labels, None) is None


@pytest.mark.parametrize("classes", [None, 3, 40])
def test_the_picture_has_two_panels(drawn, tmp_path, classes):
    groups = classes and (torch.arange(200) % classes, tuple(map(str, range(classes))))
    draw_latent_space(tmp_path / "a.png", drawn[:200].float(), drawn[200:300].float(), groups, "title")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1200, 600)
        assert len(picture.convert("RGB").getcolors(2**20)) > (classes or 1)
