"""Splits: disjoint, together everything, the same every time, however the images are held."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import MNIST

from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.folder import ImageFolder
from gan_runner.datasets.point import PointMass
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.datasets.toy import ParallelLines, Ring, SwissRoll
from gan_runner.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty images of two classes, each of a grey of its own, and ten others for testing."""
    root = tmp_path_factory.mktemp("images")
    for number in range(50):
        path = root / ("train" if number < 40 else "test") / str(number % 2) / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 5 * number, dtype=np.uint8)).save(path)
    return root


@pytest.fixture(params=["array, resident", "array, streamed", "files, resident", "files, streamed"])
def recipe(request, folder):
    """A dataset with so many held out."""
    source, how = request.param.split(", ")
    options = {"channels": 1, "resident": how == "resident", "workers": 0}
    if source == "array":
        return lambda held_out: Digits(image_size=8, held_out=held_out, **options)
    roots = {"root": str(folder / "train"), "test_root": str(folder / "test")}
    return lambda held_out: ImageFolder(image_size=4, held_out=held_out, **roots, **options)


def rows(dataset, split="train"):
    """Every image of a split with its label, as a row of numbers each."""
    batches = list(dataset.load(CPU, split).epoch(16))
    return [
        (*image.flatten().tolist(), label.item())
        for batch in batches
        for image, label in zip(batch["data"], batch["label"])
    ]


def test_validation_and_train_are_disjoint_and_together_everything(recipe):
    everything, train, validation = rows(recipe(0)), rows(recipe(9)), rows(recipe(9), "validation")
    assert len(validation) == 9
    assert len(train) == len(everything) - 9
    assert sorted(train + validation) == sorted(everything)
    assert len(recipe(9).load(CPU)) == len(train)
    if len(set(everything)) == len(everything):
        assert not set(train) & set(validation)


def test_splits_are_the_same_every_time_and_draw_nothing(recipe):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = rows(recipe(9), "validation")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert rows(recipe(9), "validation") == first


def test_that_held_out_images_are_not_trained_on(recipe):
    dataset = recipe(9)
    train = set(rows(dataset))
    for _, batch in zip(range(20), dataset.load(CPU).stream(0, 8, seed=0)):
        assert {(*x.flatten().tolist(), y.item()) for x, y in zip(batch["data"], batch["label"])} <= train


def test_held_out_images_are_drawn_from_all(recipe):
    """Not the first or last ones: of forty sorted files with rising greys, or of 1,797 digits in their file's order."""
    everything = rows(recipe(0))
    held_out = rows(recipe(len(everything) // 2), "validation")
    for half in (everything[: len(everything) // 2], everything[len(everything) // 2 :]):
        assert 0.2 < len(set(half) & set(held_out)) / len(half) < 0.8


@pytest.mark.parametrize("more", [0, 1])
def test_all_of_them_cannot_be_held_out(recipe, more):
    count = len(rows(recipe(0)))
    with pytest.raises(DataError, match=f"held_out={count + more} leaves none of the {count} images") as caught:
        recipe(count + more).load(CPU)
    assert "\n" not in str(caught.value)
    assert len(rows(recipe(count - 1))) == 1


def test_a_folder_may_have_another_for_testing(folder):
    dataset = ImageFolder(image_size=4, channels=1, root=str(folder / "train"), test_root=str(folder / "test"))
    assert dataset.splits == ("train", "test")
    greys = [round((row[0] + 1) * 127.5) for row in rows(dataset, "test")]
    assert sorted(greys) == [5 * number for number in range(40, 50)]


def test_the_splits_that_there_are():
    assert Digits().splits == ("train",)
    assert Digits(held_out=1).splits == ("train", "validation")
    assert StackedDigits(digits=Digits(resident=True, held_out=5)).splits == ("train", "validation")
    assert PointMass((0.0,)).splits == ("train",)
    for dataset in (Ring(), SwissRoll(), ParallelLines()):
        assert dataset.splits == ("train", "validation", "test")


@pytest.mark.parametrize("dataset", [Ring(), ParallelLines(positions=(0.0, 1.0))])
def test_splits_of_toys_are_draws_of_their_own(dataset):
    draws = [dataset.load(CPU, split).real(50) for split in dataset.splits]
    assert torch.equal(draws[1], dataset.load(CPU, "validation").real(50))
    for i in range(3):
        for j in range(i):
            assert not torch.isin(draws[i][:, 1], draws[j][:, 1]).any()


def test_mnists_test_split_is_the_published_one(hydra_config, data_root):
    options = ["dataset=mnist", f"dataset.root={data_root}", "dataset.held_out=10000"]
    dataset = build("dataset", resolve(hydra_config(*options)).dataset)
    assert dataset.splits == ("train", "validation", "test")
    published = MNIST(Path(data_root), train=False)
    test = dataset.load(CPU, "test")
    assert torch.equal(test.images.squeeze(1), published.data)
    assert torch.equal(test.labels, published.targets)
    assert (len(dataset.load(CPU)), len(dataset.load(CPU, "validation")), len(test)) == (50_000, 10_000, 10_000)
