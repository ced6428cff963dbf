"""Attribute vectors: of a linear encoder, the encoded difference of two means."""

from types import SimpleNamespace

import pytest
import torch

from gan_runner.datasets.images import ResidentImages
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.datasets.toy import Ring
from gan_runner.models.encoders import Posterior
from gan_runner.sampling.attributes import CHUNK, attribute_vector, code_means, first_batches

WEIGHT = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 3.0, 1.0]])


def system_with(encode):
    """A game whose encoder is a function of data."""
    game = SimpleNamespace(encodes=lambda networks: True, encode=lambda networks, x: Posterior(encode(x), encode(x)))
    return SimpleNamespace(game=game, networks={}, sampling_networks=dict, device=torch.device("cpu"))


LINEAR = system_with(lambda x: x.flatten(1) @ WEIGHT.T + 7)


def images(n, labels):
    pixels = torch.randint(256, (n, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ResidentImages("noise", pixels, labels, flip=False)


def data_of(data):
    return next(data.epoch(len(data)))["data"].double().flatten(1)


@pytest.mark.parametrize("n", [700, 10_000])
def test_of_a_linear_encoder_it_is_the_difference_of_class_means(n):
    label = torch.randint(3, (700,), generator=torch.Generator().manual_seed(1))
    data, labels = images(700, label), Classes(("cat", "dog", "cow"))
    means = code_means(LINEAR, labels, data, n)
    x = data_of(data)
    for place, name in enumerate(labels.names):
        difference = x[label == place].mean(0) - x[label != place].mean(0)
        torch.testing.assert_close(attribute_vector(means, labels, name), (WEIGHT.double() @ difference).float())
    assert means["count"].tolist() == label.bincount().tolist()
    assert means["of"] == 700  # each once


def test_attributes_may_be_there_together():
    label = torch.randint(2, (300, 2), generator=torch.Generator().manual_seed(1))
    data, labels = images(300, label), Attributes(("smiling", "young"))
    vector = attribute_vector(code_means(LINEAR, labels, data, 1000), labels, "Young")
    x, young = data_of(data), label[:, 1] == 1
    torch.testing.assert_close(vector, (WEIGHT.double() @ (x[young].mean(0) - x[~young].mean(0))).float())


def test_what_is_of_no_class_is_neither_with_nor_without():
    label = torch.tensor([0, 1, -1]).repeat(40)
    data, labels = images(120, label), Classes(("a", "b"))
    means = code_means(LINEAR, labels, data, 1000)
    assert means["of"] == 80
    torch.testing.assert_close(means["absent"], means["present"].flip(0))


def test_noise_of_an_encoder_that_draws_is_averaged_over():
    """Fresh for each piece, so that a mean of n codes from N(0, I) has variance 1 / n."""
    n, dim = 20 * CHUNK, 400
    draws = system_with(lambda x: torch.randn(len(x), dim))
    means = code_means(draws, Classes(("a", "b")), images(n, torch.arange(n) % 2), n)
    assert means["present"].square().mean().item() == pytest.approx(2 / n, rel=0.3)


def test_some_are_looked_at_once_each():
    data = images(700, torch.arange(700))
    assert sorted(label for batch in first_batches(data, 9999) for label in batch["label"].tolist()) == list(range(700))
    few = [label for batch in first_batches(data, CHUNK + 10) for label in batch["label"].tolist()]
    assert len(few) == len(set(few)) == CHUNK + 10
    endless = Ring().load(torch.device("cpu"))
    assert sum(len(batch["data"]) for batch in first_batches(endless, 1000)) == 1000


@pytest.mark.parametrize(("label", "how_many"), [(0, "none"), (1, "all")])
def test_an_attribute_that_tells_nothing_apart_is_refused(label, how_many):
    data, labels = images(5, torch.full((5, 1), label)), Attributes(("hat",))
    means = code_means(LINEAR, labels, data, 10)
    with pytest.raises(ValueError, match=f"{how_many} of the 5 encoded training samples have 'hat'"):
        attribute_vector(means, labels, "hat")
    with pytest.raises(ValueError, match="there is no attribute 'hut'; did you mean hat"):
        attribute_vector(means, labels, "hut")
