"""The classifier score: torch-fidelity's, and its limits."""

import pytest
import torch
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from gan_runner.metrics.classifier_score import classifier_score


@pytest.mark.parametrize(("n", "splits"), [(100, 10), (103, 10), (7, 7), (50, 1)])
def test_score_of_softmax_is_the_reference(n, splits):
    logits = 3 * torch.randn(n, 12, dtype=torch.float64)
    reference = isc_features_to_metric(logits, splits, shuffle=False)
    mean, deviation = classifier_score(logits.softmax(1), splits)
    assert mean == pytest.approx(reference[KEY_METRIC_ISC_MEAN], rel=1e-12)
    assert deviation == pytest.approx(reference[KEY_METRIC_ISC_STD], rel=1e-9, abs=1e-12)


def test_a_classifier_that_never_knows_gives_one():
    assert classifier_score(torch.full((40, 8), 1 / 8)) == pytest.approx((1, 0))


def test_samples_all_of_one_class_give_one():
    assert classifier_score(torch.eye(8)[[3] * 40]) == pytest.approx((1, 0))


def test_certain_and_balanced_is_the_number_of_classes():
    assert classifier_score(torch.eye(8).repeat(10, 1)) == pytest.approx((8, 0))


def test_a_split_sees_only_its_own_classes():
    """Ten of each class in turn: each of eight splits has one class, a single split has all."""
    probabilities = torch.eye(8).repeat_interleave(10, 0)
    assert classifier_score(probabilities, 8) == pytest.approx((1, 0))
    assert classifier_score(probabilities, 1) == pytest.approx((8, 0))


def test_of_two_classes_it_is_the_mutual_information():
    """Right with probability p: log score = log 2 − H(p)."""
    p = torch.tensor(0.9, dtype=torch.float64)
    rows = torch.stack([torch.stack([p, 1 - p]), torch.stack([1 - p, p])])
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    assert classifier_score(rows.repeat(5, 1), 5)[0] == pytest.approx((2 * (-entropy).exp()).item(), rel=1e-12)


@pytest.mark.parametrize("splits", [0, 11])
def test_more_splits_than_samples_are_refused(splits):
    with pytest.raises(ValueError, match=f"cannot be divided into {splits} splits"):
        classifier_score(torch.full((10, 2), 0.5), splits)
