"""Neighbours against scikit-learn's; precision and recall against torch-fidelity's; density and coverage by hand."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from gan_runner.metrics.neighbours import nearest, precision_recall_density_coverage


def draws(n, d=5, shift=0.0, scale=1.0):
    return scale * torch.randn(n, d, dtype=torch.float64) + shift


@pytest.mark.parametrize("chunk", [7, 1000])
def test_nearest_are_those_of_a_tree(chunk):
    queries, points = draws(50), draws(80)
    expected, order = NearestNeighbors(n_neighbors=4, algorithm="kd_tree").fit(points).kneighbors(queries)
    distances, indices = nearest(queries, points, 4, chunk)
    torch.testing.assert_close(distances, torch.as_tensor(expected), rtol=1e-12, atol=0)
    assert torch.equal(indices, torch.as_tensor(order))


def test_a_point_is_its_own_nearest_at_exactly_zero_however_far_away():
    x = draws(40) + 1e4
    distances, indices = nearest(x, x)
    assert torch.equal(distances, torch.zeros(40, 1).double())
    assert torch.equal(indices, torch.arange(40).unsqueeze(1))


def test_not_more_neighbours_than_points():
    with pytest.raises(ValueError, match="k=4"):
        nearest(draws(2), draws(3), 4)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("fake", [(90, 5, 0.0, 1.0), (60, 5, 0.7, 0.5), (120, 5, 0.0, 3.0)])
def test_precision_and_recall_are_the_reference(k, fake):
    real, fake = draws(100), draws(*fake)
    reference = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=1000, save_cpu_ram=False, verbose=False
    )
    figures = precision_recall_density_coverage(real, fake, k, chunk=32)
    assert figures["precision"] == pytest.approx(reference[KEY_METRIC_PRECISION], abs=1e-6)
    assert figures["recall"] == pytest.approx(reference[KEY_METRIC_RECALL], abs=1e-6)


def test_density_and_coverage_are_counted_one_by_one():
    real, fake, k = draws(40), draws(30, shift=0.5), 4
    radii = NearestNeighbors(n_neighbors=k).fit(real).kneighbors()[0][:, -1]  # of the set's own points, without itself
    held = [[(x - y).norm().item() <= radius for x, radius in zip(real, radii)] for y in fake]
    figures = precision_recall_density_coverage(real, fake, k, chunk=11)
    assert figures["density"] == pytest.approx(sum(map(sum, held)) / (k * 30), rel=1e-12)
    assert figures["coverage"] == pytest.approx(sum(map(any, zip(*held))) / 40, rel=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_a_set_against_itself_is_perfect(k):
    """Every ball holds its centre and its k neighbours, the k-th on the rim: 1, 1, (k + 1) / k, 1."""
    x = draws(60) + 100
    figures = precision_recall_density_coverage(x, x.flip(0), k, chunk=13)
    assert figures == pytest.approx({"precision": 1, "recall": 1, "density": (k + 1) / k, "coverage": 1})


def test_sets_far_apart_share_nothing():
    figures = precision_recall_density_coverage(draws(50), draws(40, shift=1e3), 3)
    assert figures == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_of_one_distribution_coverage_is_as_expected():
    """1 − 2^−k for many points: the k-th nearest real comes before any fake with that probability; density is 1."""
    figures = precision_recall_density_coverage(draws(1500, 2), draws(1500, 2), 3)
    assert figures["coverage"] == pytest.approx(1 - 2**-3, abs=0.03)
    assert figures["density"] == pytest.approx(1, abs=0.05)


def test_a_generator_that_has_learned_one_sample_by_heart_is_precise_and_recalls_only_that():
    real = draws(50)
    figures = precision_recall_density_coverage(real, real[7].expand(20, -1), 3)
    assert figures["precision"] == 1
    assert figures["recall"] == pytest.approx(1 / 50)
    assert figures["coverage"] < 0.5


def test_that_values_do_not_depend_on_origin_or_unit():
    real, fake = draws(60), draws(50, shift=0.5)
    first = precision_recall_density_coverage(real, fake, 3)
    assert precision_recall_density_coverage(7 * real + 1e4, 7 * fake + 1e4, 3) == first


@pytest.mark.parametrize("k", [0, 5])
def test_every_sample_needs_k_others(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        precision_recall_density_coverage(draws(5), draws(9), k)
