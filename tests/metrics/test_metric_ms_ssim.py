"""MS-SSIM: its limits, a closed form, and what it makes of structures that are opposed."""

import pytest
import torch
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import structural_similarity_index_measure

from gan_runner.metrics.ms_ssim import WEIGHTS, diversity, ms_ssim, weights


def noise(n=4, channels=1, side=32):
    return 2 * torch.rand(n, channels, side, side) - 1


def smooth(n=4, side=32):
    coarse = 2 * torch.rand(n, 3, 4, 4) - 1
    return torch.nn.functional.interpolate(coarse, side, mode="bilinear")


@pytest.mark.parametrize("side", [16, 28, 64])
def test_scales_are_torchmetrics_own(side):
    """Its SSIM where windows lie within the image: five pixels from the border, which it completes by reflection."""
    x, y = ((smooth(4, side).double() + 1) / 2 for _ in range(2))
    y = 0.7 * x + 0.3 * y
    expected, values = torch.ones(4).double(), ms_ssim(2 * x - 1, 2 * y - 1)
    options = {"reduction": "none", "data_range": 1.0}
    for weight in weights(side)[:-1]:
        _, contrast = structural_similarity_index_measure(x, y, return_contrast_sensitivity=True, **options)
        expected *= contrast**weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    _, image = structural_similarity_index_measure(x, y, return_full_image=True, **options)
    expected *= image[..., 5:-5, 5:-5].flatten(1).mean(1) ** weights(side)[-1]
    torch.testing.assert_close(values, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("side", [11, 28, 64])
def test_a_pair_of_equals_is_one(side):
    x = noise(side=side)
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(4).double(), rtol=1e-6, atol=0)


def test_order_does_not_matter_and_pairs_are_on_their_own():
    x, y = smooth(), smooth()
    values = ms_ssim(x, y)
    torch.testing.assert_close(values, ms_ssim(y, x))
    torch.testing.assert_close(values[1:2], ms_ssim(x[1:2], y[1:2]))
    assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("side", [16, 28, 64])
def test_of_plain_images_it_is_their_luminance_at_the_coarsest_scale(side):
    """((2ab + c) / (a² + b² + c))^w with a, b in [0, 1], c = 0.01² and w the last weight: nothing has contrast."""
    a, b = 0.2, 0.6
    x, y = (torch.full((1, 1, side, side), 2 * value - 1, dtype=torch.float64) for value in (a, b))
    expected = ((2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)) ** weights(side)[-1]
    assert ms_ssim(x, y).item() == pytest.approx(expected, rel=1e-9)


def test_similarity_falls_as_noise_is_added():
    x, added = smooth(8), torch.randn(8, 3, 32, 32)
    values = [ms_ssim(x, (x + scale * added).clamp(-1, 1)).mean() for scale in (0.0, 0.05, 0.2, 1.0)]
    assert values == sorted(values, reverse=True)
    assert ms_ssim(noise(50), noise(50)).mean() < 0.15


def test_the_negative_of_an_image_is_at_zero():
    """Its contrast is that of the image with the opposite sign, of which no fractional power is a number."""
    x = noise()
    assert ms_ssim(x, -x).tolist() == [0] * 4


def test_as_many_scales_as_the_image_holds_windows():
    counts = {side: len(weights(side)) for side in (11, 21, 22, 28, 43, 44, 64, 87, 88, 128, 175, 176, 256)}
    assert list(counts.values()) == [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    assert all(sum(weights(side)) == pytest.approx(1) for side in counts)
    assert weights(256) == pytest.approx(WEIGHTS, abs=1e-4)
    for side in (22, 44, 88):
        assert torch.isfinite(ms_ssim(noise(1, 1, side), noise(1, 1, side))).all()


def test_images_smaller_than_a_window_are_refused():
    with pytest.raises(ValueError, match=r"set dataset\.image_size to 11 or more"):
        ms_ssim(noise(side=8), noise(side=8))


def test_a_collapsed_generator_has_no_diversity():
    assert diversity(smooth(1).expand(10, -1, -1, -1), 30) == pytest.approx(1, rel=1e-6)


def test_an_image_is_not_paired_with_itself():
    """Of two images there is one pair."""
    x = smooth(2)
    assert diversity(x, 20, chunk=3) == pytest.approx(ms_ssim(x[:1], x[1:]).item(), rel=1e-5)


def test_two_modes_are_between_one_and_all_different():
    one = smooth(1).expand(20, -1, -1, -1)
    two, many = torch.cat([one[:10], smooth(1).expand(10, -1, -1, -1)]), smooth(20)
    assert diversity(many, 30) < diversity(two, 30) < diversity(one, 30)


def test_the_same_pairs_every_time_and_the_random_state_untouched():
    x = smooth(10)
    state = torch.get_rng_state()
    first = diversity(x, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert diversity(x, 5) == first != diversity(x, 5, seed=1)


@pytest.mark.parametrize(("n", "pairs"), [(1, 5), (5, 0)])
def test_there_must_be_pairs(n, pairs):
    with pytest.raises(ValueError, match=f"{pairs} pairs of {n}"):
        diversity(smooth(n), pairs)
