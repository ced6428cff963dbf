"""Test what each differentiable augmentation changes, and by how much."""

import pytest
import torch

from gan_runner.models.layers.diff_augment import DiffAugment, brightness, contrast, cutout, saturation, translation


def images(n=400, channels=3, height=16, width=16):
    return torch.rand(n, channels, height, width, dtype=torch.float64) * 2 - 1


def span(draws, low, high):
    """Images for draws that cover an interval."""
    margin = (high - low) / 20
    assert low <= draws.min() < low + margin
    assert high - margin < draws.max() <= high


def test_brightness_adds_one_number_to_each_image():
    x = images()
    added = (brightness(x) - x).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    span(added[:, 0], -0.5, 0.5)


@pytest.mark.parametrize(("change", "over", "most"), [(saturation, 1, (0, 2)), (contrast, (1, 2, 3), (0.5, 1.5))])
def test_saturation_and_contrast_scale_differences_from_a_mean(change, over, most):
    x = images()
    y, mean = change(x), x.mean(over, keepdim=True)
    torch.testing.assert_close(y.mean(over, keepdim=True), mean)
    factors = ((y - mean) * (x - mean)).flatten(1).sum(1) / (x - mean).flatten(1).square().sum(1)
    torch.testing.assert_close(y, mean + factors.view(-1, 1, 1, 1) * (x - mean))
    span(factors, *most)


def test_saturation_does_not_change_grey():
    x = images(channels=1)
    torch.testing.assert_close(saturation(x), x)


def moved(x, down, right):
    """An image (c, h, w), shifted with zero padding."""
    y = torch.zeros_like(x)
    _, h, w = x.shape
    for i in range(h):
        for j in range(w):
            if 0 <= i - down < h and 0 <= j - right < w:
                y[:, i, j] = x[:, i - down, j - right]
    return y


def test_translation_is_a_whole_shift_up_to_an_eighth():
    torch.manual_seed(0)
    x = images(1, height=16, width=24)
    shifts = {(i, j): moved(x[0], i, j) for i in range(-2, 3) for j in range(-3, 4)}
    seen = set()
    for y in translation(x.expand(600, -1, -1, -1)):
        (found,) = [shift for shift, expected in shifts.items() if torch.equal(y, expected)]
        seen.add(found)
    assert seen == set(shifts)


def authors_hole(height, width, centre_row, centre_column):
    """The mask of data-efficient-gans, with positions clamped to the image."""
    mask = torch.ones(height, width, dtype=torch.bool)
    rows = (torch.arange(height // 2) + centre_row - height // 4).clamp(0, height - 1)
    columns = (torch.arange(width // 2) + centre_column - width // 4).clamp(0, width - 1)
    mask[rows[:, None], columns] = False
    return mask


@pytest.mark.parametrize("side", [8, 10])  # half of it even, odd
def test_cutout_zeroes_a_square_of_half_the_side_about_any_centre(side):
    torch.manual_seed(0)
    x = images(1, height=side, width=side)
    centres = range(side + 1 - (side // 2) % 2)
    holes = {authors_hole(side, side, i, j).numpy().tobytes() for i in centres for j in centres}
    y = cutout(x.expand(4000, -1, -1, -1))
    kept = y != 0
    assert torch.equal(y, x * kept)
    assert {mask[0].numpy().tobytes() for mask in kept} == holes


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ("color", "translation", "cutout")])
def test_images_are_augmented_independently(policy):
    layer, x = DiffAugment((3, 16, 16), policy), images(6)
    other = torch.cat([x[:1], images(5)])
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(layer(other)[0], first[0])
    assert first.shape == x.shape
    assert not torch.equal(first[1] - x[1], first[2] - x[2])


def test_second_derivatives_exist():
    layer, x = DiffAugment((3, 8, 8)), images(2, height=8, width=8).requires_grad_()

    def seeded(x):
        torch.manual_seed(0)
        return layer(x).square()

    assert torch.autograd.gradcheck(seeded, x)
    assert torch.autograd.gradgradcheck(seeded, x, fast_mode=True)


def test_augmentations_run_in_the_order_given():
    x = torch.ones(50, 1, 16, 16)
    assert (DiffAugment((1, 16, 16), ("cutout", "color"))(x) == 0).sum() == 0  # what was cut out was then brightened
    assert (DiffAugment((1, 16, 16), ("color", "cutout"))(x) == 0).flatten(1).any(1).all()


@pytest.mark.parametrize("shape", [(2,), (1, 28)])
def test_points_are_refused(shape):
    with pytest.raises(ValueError, match="needs images, but samples have shape"):
        DiffAugment(shape)
