"""The digits that ship with scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.digits import Digits, read_table

CPU = torch.device("cpu")


def test_there_are_1797_of_ten_classes():
    data = Digits().load(CPU)
    assert data.images.shape == (1797, 1, 16, 16)
    assert torch.bincount(data.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert "1,797" in data.describe()


def test_at_their_own_size_they_are_scikit_learns_stretched_to_the_whole_range():
    digits = load_digits()
    data = Digits(image_size=8).load(CPU)
    assert torch.equal(data.labels, torch.as_tensor(digits.target))
    original = torch.as_tensor(digits.images).unsqueeze(1)
    assert torch.allclose(data.images.double(), original * 255 / 16, atol=0.5)
    everything = data.real(1797)
    assert (everything.min(), everything.max()) == (-1, 1)


def test_where_scikit_learn_has_moved_its_file_its_own_loader_is_asked(monkeypatch):
    usual = read_table()
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    assert np.array_equal(read_table(), usual)


def test_in_colour_all_channels_are_alike():
    batch = next(Digits(channels=3).load(CPU).stream(0, 8, 0))["data"]
    assert batch.shape == (8, 3, 16, 16)
    assert torch.equal(batch, batch[:, :1].expand_as(batch))


@pytest.mark.parametrize("size", [8, 16, 32])
def test_as_configured_they_have_the_promised_shape(hydra_config, size):
    dataset = build("dataset", resolve(hydra_config("dataset=digits", f"dataset.image_size={size}")).dataset)
    batch = next(dataset.load(CPU).stream(0, 4, 0))
    assert dataset.bounded
    assert batch["data"].shape == (4, *dataset.shape) == (4, 1, size, size)
    assert batch["label"].dtype == torch.int64
