"""Digits in colours: both attributes can be read off the image, and neither tells of the other."""

from itertools import islice

import pytest
import torch

from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.images import ArraySource, ImageDataset
from gan_runner.datasets.tinted import COLOURS, TintedDigits
from gan_runner.errors import DataError

CPU = torch.device("cpu")
PALETTE = torch.tensor(list(COLOURS.values()))


def coloured(**options):
    """scikit-learn's digits in colours."""
    return TintedDigits(**{"image_size": 8, "workers": 0, "digits": Digits(image_size=8), **options})


def colour_of(images):
    """The colour nearest to the brightest pixel of each image (n, 3, h, w) in [−1, 1]: its place (n,)."""
    pixels = ((images + 1) * 127.5).flatten(2)
    brightest = pixels.sum(1).argmax(1)
    seen = pixels.gather(2, brightest.view(-1, 1, 1).expand(-1, 3, 1)).squeeze(2)
    return torch.cdist(seen.double(), PALETTE.double()).argmin(1)


def test_each_image_is_the_digit_times_its_colour():
    grey, data = Digits(image_size=8).load(CPU), coloured().load(CPU)
    digit, colour = data.labels[:, :10].argmax(1), data.labels[:, 10:].argmax(1)
    assert torch.equal(digit, grey.labels)
    assert torch.equal(colour_of(data.images / 127.5 - 1), colour)
    wanted = grey.images.double() * PALETTE[colour].view(-1, 3, 1, 1) / 255
    assert (data.images - wanted).abs().max() <= 0.5
    assert data.images[colour == 9].eq(grey.images[colour == 9]).all()  # white


def test_that_labels_describe_digit_and_colour():
    dataset = coloured()
    batch = next(dataset.load(CPU).stream(0, 64, 0))
    assert batch["label"].shape == (64, 20)
    assert (batch["label"][:, :10].sum(1) == 1).all()
    assert dataset.labels.dim == 20
    for image, label in zip(batch["data"], batch["label"]):
        digit, _, colour = dataset.labels.describe(label).partition(", ")
        assert (int(digit), list(COLOURS).index(colour)) == (label[:10].argmax(), colour_of(image[None])[0])
        assert torch.equal(dataset.labels.parse(f"{colour}, {digit}"), label.float())


def test_colours_are_uniform_and_tell_nothing_of_the_digit():
    """χ² of the table of both, of 9 · 9 degrees of freedom, and of the colours alone, of 9."""
    labels = coloured().load(CPU).labels.double()
    table = labels[:, :10].T @ labels[:, 10:]
    n = len(labels)
    expected = table.sum(1, keepdim=True) * table.sum(0) / n
    assert abs(((table - expected) ** 2 / expected).sum() - 81) < 4 * (2 * 81) ** 0.5
    assert ((table.sum(0) - n / 10) ** 2 / (n / 10)).sum() < 9 + 4 * 18**0.5


def test_an_image_keeps_its_colour_whatever_else_is_asked_for():
    everything = coloured().load(CPU)
    train, validation = (coloured(held_out=300).load(CPU, split) for split in ("train", "validation"))
    rows = {(*image.flatten().tolist(), *label.tolist()) for image, label in zip(everything.images, everything.labels)}
    split = [(*i.flatten().tolist(), *y.tolist()) for d in (train, validation) for i, y in zip(d.images, d.labels)]
    assert len(split) == len(everything)
    assert set(split) == rows
    assert not torch.equal(coloured(seed=1).load(CPU).labels, everything.labels)
    assert torch.equal(coloured().load(CPU).images, everything.images)


@pytest.mark.parametrize("resident", [True, False])
def test_batches_go_on_where_they_stopped_and_rows_are_their_own(resident):
    data = coloured(resident=resident, flip=True).load(CPU)
    whole = list(islice(coloured(resident=True, flip=True).load(CPU).stream(0, 6, 1), 4))
    for batch, other in zip(whole[2:], data.stream(2, 6, 1)):
        assert all(torch.equal(batch[key], other[key]) for key in ("data", "label"))
    part = next(data.stream(3, 6, 1, slice(2, 4)))
    assert all(torch.equal(part[key], whole[3][key][2:4]) for key in ("data", "label"))


def test_what_cannot_be_tinted_is_refused():
    for digits in (Digits(image_size=8, channels=3), Plain(image_size=8, channels=1)):
        with pytest.raises(ValueError, match="must be grey and have classes"):
            coloured(digits=digits)
    with pytest.raises(ValueError, match=r"digits\.image_size=16 must be dataset\.image_size=8"):
        coloured(digits=Digits(image_size=16))
    with pytest.raises(ValueError, match="channels must be 3"):
        coloured(channels=1)
    with pytest.raises(ValueError, match=r"digits\.held_out must be 0; set dataset\.held_out"):
        coloured(digits=Digits(image_size=8, held_out=5))


class Plain(ImageDataset):
    """Images whose labels mean nothing."""


class Letters(Digits):
    """Digits whose labels are not digits."""

    def source(self):
        return ArraySource("letters", torch.zeros(3, 8, 8, dtype=torch.uint8), [0, 1, 25], 8, 1)


def test_that_labels_outside_of_the_classes_are_reported():
    with pytest.raises(DataError, match="letters has labels outside of 0 to 9"):
        coloured(digits=Letters(image_size=8)).load(CPU)


def test_mnist_in_colours(hydra_config, data_root):
    options = [f"dataset.root={data_root}", "dataset.held_out=10000"]
    dataset = build("dataset", resolve(hydra_config("dataset=color_mnist", *options)).dataset)
    assert dataset.splits == ("train", "validation", "test")
    test = dataset.load(CPU, "test")
    assert test.images.shape == (10_000, 3, 28, 28)
    assert torch.equal(colour_of(test.images / 127.5 - 1), test.labels[:, 10:].argmax(1))
    assert test.labels[:5, :10].argmax(1).tolist() == [7, 2, 1, 0, 4]
    assert len(dataset.split_source("train")) == 50_000


def test_as_configured(hydra_config):
    dataset = build("dataset", resolve(hydra_config("dataset=color_digits", "dataset.image_size=12")).dataset)
    assert next(dataset.load(CPU).stream(0, 3, 0))["data"].shape == (3, *dataset.shape) == (3, 3, 12, 12)
