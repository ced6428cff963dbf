"""The kernel distance: torch-fidelity's on the same subset, a closed form, and no bias."""

import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from gan_runner.metrics.kernel_distance import kernel_distance


def draws(n, d=4, shift=0.0, scale=1.0):
    return scale * torch.randn(n, d, dtype=torch.float64) + shift


@pytest.mark.parametrize("shift", [0.0, 0.3, 3.0])
def test_of_all_there_is_it_is_the_reference(shift):
    """A subset as large as the set is the set, in whatever order."""
    x, y = draws(80, 16), draws(80, 16, shift)
    reference = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=80, verbose=False)
    mean, deviation = kernel_distance(x, y, subsets=3)
    assert mean == pytest.approx(reference[KEY_METRIC_KID_MEAN], rel=1e-9)
    assert deviation < 1e-12


def test_mean_and_deviation_over_subsets_agree_with_the_references_own_draws():
    x, y = draws(400, 8), draws(300, 8, 0.4)
    reference = kid_features_to_metric(x, y, kid_subsets=400, kid_subset_size=40, rng_seed=1, verbose=False)
    mean, deviation = kernel_distance(x, y, subsets=400, subset_size=40)
    error = reference[KEY_METRIC_KID_STD] / 20  # of a mean over 400; the difference of two has √2 of it
    assert abs(mean - reference[KEY_METRIC_KID_MEAN]) < 4 * 2**0.5 * error
    assert deviation == pytest.approx(reference[KEY_METRIC_KID_STD], rel=0.2)


def test_one_distribution_is_at_distance_zero_on_average():
    """Unbiased: over 300 pairs of sets the mean lies within four standard errors of zero, values on both sides."""
    values = torch.tensor([kernel_distance(draws(12), draws(9), subsets=1)[0] for _ in range(300)])
    assert values.mean().abs() < 4 * values.std() / 300**0.5
    assert values.min() < 0 < values.max()


def test_in_one_dimension_it_is_that_of_the_first_three_moments():
    """k = 1 + 3xy + 3x²y² + x³y³, so MMD² = 3 Δ₁² + 3 Δ₂² + Δ₃²: of N(0, 1) and N(0, 2²), 3 · 3²."""
    values = torch.tensor([kernel_distance(draws(500, 1), draws(500, 1, scale=2.0), 1)[0] for _ in range(36)])
    assert values.mean().item() == pytest.approx(27, abs=4 * values.std().item() / 6)


def test_the_same_draws_every_time_and_the_random_state_untouched():
    x, y = draws(50), draws(40)
    state = torch.get_rng_state()
    first = kernel_distance(x, y, 5, 10)
    assert torch.equal(torch.get_rng_state(), state)
    assert kernel_distance(x, y, 5, 10) == first != kernel_distance(x, y, 5, 10, seed=1)


def test_one_subset_has_no_deviation():
    assert kernel_distance(draws(30), draws(30), subsets=1, subset_size=10)[1] == 0


@pytest.mark.parametrize("options", [{"subset_size": 1}, {"subsets": 0}])
def test_too_few_are_refused(options):
    with pytest.raises(ValueError, match="at least one subset of two samples"):
        kernel_distance(draws(5), draws(5), **options)
