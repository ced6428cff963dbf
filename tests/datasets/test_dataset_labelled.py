"""A few labels: which, in what order, and that no player sees the others."""

from itertools import islice

import pytest
import torch

from gan_runner.datasets.base import Order, derive_seed
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.labelled import LabelledSubset, PartlyLabelled
from gan_runner.datasets.toy import Ring
from gan_runner.distributed import sharding
from gan_runner.errors import DataError

CPU = torch.device("cpu")


def digits(**options):
    return Digits(image_size=8, workers=0, **options).load(CPU)


def batches(data, subset, n, start=0, size=30, seed=3, rows=slice(None)):
    return list(islice(PartlyLabelled(data, subset, 10).stream(start, size, seed, rows), n))


def assert_same(left, right):
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_classes_have_equally_many_labels_and_they_are_right():
    data = digits()
    samples, labels = LabelledSubset(count=200).choose(data, 10, 0)
    assert torch.equal(labels.bincount(), torch.full((10,), 20))
    assert len(samples.flatten(1).unique(dim=0)) == 200
    truth = {image.numpy().tobytes(): int(label) for image, label in zip(data.real(1797), data.first(1797)["label"])}
    assert all(truth[sample.numpy().tobytes()] == label for sample, label in zip(samples, labels.tolist()))


def test_that_the_choice_depends_on_its_seed_or_that_of_the_run():
    data = digits()

    def chosen(subset, run):
        return LabelledSubset(count=50, seed=subset).choose(data, 10, run)[0]

    assert torch.equal(chosen(4, 0), chosen(4, 1))
    assert not torch.equal(chosen(4, 0), chosen(5, 0))
    assert not torch.equal(chosen(None, 0), chosen(None, 1))
    assert torch.equal(chosen(None, 7), chosen(7, 0))


def test_fewer_labels_are_some_of_the_more():
    data = digits()
    few, many = (LabelledSubset(count=10 * n).choose(data, 10, 0)[0].view(10, n, 64) for n in (2, 10))
    assert torch.equal(few, many[:, :2])


def test_that_labelled_samples_are_read_equally_often_in_their_own_order():
    data, subset = digits(), LabelledSubset(count=50)
    seen = batches(data, subset, 5)  # three permutations of the fifty
    assert torch.equal(torch.cat([batch["labelled_label"] for batch in seen]).bincount(), torch.full((10,), 15))
    first = torch.cat([batch["labelled"] for batch in seen])[:50].flatten(1)
    assert len(first.unique(dim=0)) == 50
    other = torch.cat([batch["labelled_label"] for batch in batches(data, subset, 2, seed=4)])
    assert not torch.equal(other[:50], torch.cat([batch["labelled_label"] for batch in seen])[:50])


def test_that_unlabelled_batches_equal_those_without_labels():
    data = digits(flip=True)
    for batch, plain in zip(batches(data, LabelledSubset(), 3), data.stream(0, 30, 3)):
        assert torch.equal(batch["data"], plain["data"])


@pytest.mark.parametrize("resident", [True, False])
def test_that_batches_resume_and_split_over_processes(resident):
    data, subset = digits(flip=True, resident=resident), LabelledSubset(count=20)
    whole = batches(data, subset, 4)
    for batch, same in zip(batches(data, subset, 2, start=2), whole[2:]):
        assert_same(batch, same)
    shares = [batches(data, subset, 1, rows=sharding.rows(30, 3, index))[0] for index in range(3)]
    assert_same({name: torch.cat([share[name] for share in shares]) for name in whole[0]}, whole[0])


def test_streamed_images_are_those_of_memory():
    here, there = (batches(digits(flip=True, resident=r), LabelledSubset(count=20), 2) for r in (True, False))
    for left, right in zip(here, there):
        assert_same(left, right)


def test_that_unknown_labels_are_not_in_batches():
    """Labels that were not looked at may be any others: every batch stays what it was."""
    data, subset = digits(), LabelledSubset(count=20)
    truth = batches(data, subset, 3)
    unseen = Order(1797, derive_seed(-2, 0)).indices(0, 1797)[256:]
    assert len(unseen) == 1541  # the first piece had all that was wanted
    data.labels[unseen] = data.labels[unseen[torch.randperm(1541)]]
    for batch, same in zip(batches(data, subset, 3), truth):
        assert batch.keys() == {"data", "labelled", "labelled_label"}
        assert_same(batch, same)


def test_mirrored_labelled_images_are_mirrored_afresh():
    data = digits(flip=True)
    seen = batches(data, LabelledSubset(count=10), 4, size=10)
    views = torch.cat([batch["labelled"] for batch in seen]).flatten(1).unique(dim=0)
    assert 10 < len(views) <= 20


def test_points_are_labelled_too():
    data = Ring().load(CPU)
    (batch,) = islice(PartlyLabelled(data, LabelledSubset(count=16), 8).stream(0, 40, 0), 1)
    assert batch["labelled"].shape == (40, 2)
    assert len(batch["labelled"].unique(dim=0)) == 16


def test_that_invalid_choices_are_refused():
    with pytest.raises(ValueError, match="count must be"):
        LabelledSubset(count=0)
    with pytest.raises(ValueError, match=r"count=25 is not a multiple of the 10 classes; choose 20"):
        LabelledSubset(count=25).per_class(10)
    with pytest.raises(
        DataError, match=r"count=1790 needs 179 labels per class, and class \d has only 17\d; choose fewer"
    ):
        LabelledSubset(count=1790).choose(digits(), 10, 0)
    with pytest.raises(DataError, match="needs one of 5 classes per sample"):
        LabelledSubset(count=5).choose(digits(), 5, 0)
