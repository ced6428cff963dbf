"""Test adaptive augmentation: the warp against grid_sample, colours in closed form, and probabilities."""

import math

import pytest
import torch
from torch.nn.functional import grid_sample

from gan_runner.models.layers.adaptive_augmentation import (
    AdaptiveAugmentation,
    blitting,
    color,
    geometry,
    hue_rotation,
    luma_chroma_scaling,
    product,
    recolor,
    rotation,
    scaling,
    shift,
    warp,
    with_probability,
)


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def images(n=6, channels=3, height=8, width=8):
    return torch.rand(n, channels, height, width) * 2 - 1


def one(value):
    return torch.tensor([float(value)])


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (1, 5)])
def test_warp_is_bilinear_sampling_with_reflection(size):
    x, (height, width) = images(20, 2, *size), size
    inverse = torch.eye(3).repeat(20, 1, 1)
    inverse[:, :2] += torch.randn(20, 2, 3) * torch.tensor([0.7, 0.7, 9.0])
    across, down = torch.arange(width) - (width - 1) / 2, torch.arange(height) - (height - 1) / 2
    centred = torch.stack([across.expand(size), down[:, None].expand(size), torch.ones(size)], 2)
    places = torch.einsum("nij,hwj->nhwi", inverse[:, :2], centred)
    grid = places * 2 / torch.tensor([max(width - 1, 1), max(height - 1, 1)])
    expected = grid_sample(x, grid, "bilinear", "reflection", align_corners=True)
    torch.testing.assert_close(warp(x, inverse), expected)


def test_blitting_transforms_map_pixels_to_pixels():
    x = images(1)
    torch.testing.assert_close(warp(x, scaling(one(-1), 1)), x.flip(3))
    for turns in range(4):
        torch.testing.assert_close(warp(x, rotation(one(turns * math.pi / 2))), x.rot90(turns, (2, 3)))
    right = torch.cat([x[..., 2:3], x[..., 1:2], x[..., :-2]], 3)  # reflected at the left border
    torch.testing.assert_close(warp(x, shift(one(-2), one(0))), right)


def test_warps_compose():
    ramp = torch.linspace(-1, 1, 33).expand(1, 1, 33, 33) + 2 * torch.linspace(-1, 1, 33)[:, None]
    a, b = rotation(one(0.4)), scaling(one(0.8), 0.9)
    twice, once = warp(warp(ramp, a), b), warp(ramp, product(a, b))
    torch.testing.assert_close(twice[..., 8:-8, 8:-8], once[..., 8:-8, 8:-8])  # bilinear is exact on a ramp


def test_hue_rotates_about_the_grey_axis():
    angle = torch.randn(5)
    axis = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    expected = torch.linalg.matrix_exp(angle.view(-1, 1, 1) * axis)
    torch.testing.assert_close(hue_rotation(angle)[:, :3, :3], expected)


def test_luma_and_chroma_are_scaled_separately():
    x = images(4)
    grey = x.mean(1, keepdim=True)
    across = torch.tensor([1.0, 0.0, 2.0, 0.5])
    torch.testing.assert_close(
        recolor(x, luma_chroma_scaling(-1.0, across)), -grey + across.view(-1, 1, 1, 1) * (x - grey)
    )


def test_grey_images_are_transformed_as_equal_channels():
    x, p = images(30, 1), torch.tensor(0.7)
    for change in color(x, p):
        expected = recolor(x.expand(-1, 3, -1, -1), change)
        torch.testing.assert_close(recolor(x, change), expected.mean(1, keepdim=True))
        torch.testing.assert_close(expected.std(1), torch.zeros(30, 8, 8))


def share_changed(changes):
    """The number of matrices in (n, k · rows, columns) that differ from the identity, for each of the k."""
    identity = torch.eye(changes.shape[2]).repeat(changes.shape[1] // changes.shape[2], 1)
    return (changes - identity).flatten(1).abs().amax(1).gt(1e-9).double().mean().item()


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_each_transform_has_probability_p(p):
    x, probability = torch.zeros(20_000, 3, 8, 8), torch.tensor(p)
    scale, turn, stretch, turned, by = geometry(x, probability)
    always_seen = [scale, stretch, by, *(change for i, change in enumerate(color(x, probability)) if i != 2)]
    # Mirroring, quarter turns, shifts by round(U(−1, 1)) and flips sometimes have no effect.
    mirror, quarters, whole = blitting(x, probability)
    flip = color(x, probability)[2]
    for changes, seen in ((always_seen, 1), ([quarters, whole], 3 / 4), ([mirror, flip], 1 / 2)):
        for change in changes:
            assert share_changed(change) == pytest.approx(p * seen, abs=0.015)
    assert share_changed(torch.cat([turn, turned], 1)) == pytest.approx(p, abs=0.015)


def test_distributions_equal_the_paper():
    x, p = torch.zeros(40_000, 3, 64, 32), torch.tensor(1.0)
    scale, turn, stretch, _, by = geometry(x, p)
    assert scale[:, 0, 0].log2().std() == pytest.approx(0.2, rel=0.03)
    assert stretch[:, 0, 0].log2().std() == pytest.approx(0.2, rel=0.03)
    torch.testing.assert_close(stretch[:, 0, 0] * stretch[:, 1, 1], torch.ones(40_000))
    angles = torch.atan2(turn[:, 1, 0], turn[:, 0, 0])
    assert angles.std() == pytest.approx(math.pi / math.sqrt(3), rel=0.03)
    assert by[:, 0, 2].std() == pytest.approx(4, rel=0.03)
    assert by[:, 1, 2].std() == pytest.approx(8, rel=0.03)
    whole = blitting(x, p)[2]
    assert whole[:, 0, 2].unique().tolist() == [*range(-4, 5)]
    assert whole[:, 1, 2].unique().tolist() == [*range(-8, 9)]
    brighter, contrast, _, _, saturation = color(x, p)
    assert brighter[:, 0, 3].std() == pytest.approx(0.2, rel=0.03)
    assert contrast[:, 0, 0].log2().std() == pytest.approx(0.5, rel=0.03)
    assert (saturation[:, 0, 0] - saturation[:, 0, 1]).log2().std() == pytest.approx(1, rel=0.03)


def test_two_numbers_of_a_transform_are_chosen_together():
    kept = with_probability(torch.tensor(0.5), torch.ones(2, 1000), 0.0)
    assert torch.equal(kept[0], kept[1])
    assert 400 < kept[0].sum() < 600


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_unchanged_at_p_zero_and_changed_at_p_one(channels):
    layer, x = AdaptiveAugmentation((channels, 8, 8)), images(channels=channels)
    torch.testing.assert_close(layer(x), x)
    layer.p.fill_(1)
    assert ((layer(x) - x).flatten(1).abs().amax(1) > 0.05).all()


def test_blitting_only_moves_pixels():
    layer, x = AdaptiveAugmentation((1, 8, 8), ("blitting",)), images(50, 1)
    layer.p.fill_(1)
    difference = layer(x).flatten(1).unsqueeze(2) - x.flatten(1).unsqueeze(1)
    assert difference.abs().amin(2).max() < 1e-9


def test_images_are_augmented_independently():
    layer, x = AdaptiveAugmentation((3, 8, 8)), images()
    other = torch.cat([x[:1], images(5)])
    layer.p.fill_(0.8)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(layer(other)[0], first[0])


def test_second_derivatives_exist():
    layer, x = AdaptiveAugmentation((3, 5, 5)), images(2, 3, 5, 5).requires_grad_()
    layer.p.fill_(1)

    def seeded(x):
        torch.manual_seed(0)
        return layer(x).square()

    assert torch.autograd.gradcheck(seeded, x)
    assert torch.autograd.gradgradcheck(seeded, x, fast_mode=True)


def test_points_and_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="ada needs images"):
        AdaptiveAugmentation((2,))
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        AdaptiveAugmentation((2, 8, 8))
