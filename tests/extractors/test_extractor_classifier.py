"""Classifiers that are trained on the data's own labels: good, always the same, trained once, without a trace."""

import itertools
import logging
import math
import os
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.folder import ImageFolder
from gan_runner.datasets.images import ArraySource, ImageDataset
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.datasets.toy import Ring
from gan_runner.extractors.classifier import Classifier, SoftmaxRegression, accuracy
from gan_runner.requirements import check_requirements

CPU = torch.device("cpu")
DIGITS = Digits(image_size=8, held_out=300)
QUICK = Classifier(steps=5, batch_size=16, width=4, features=8)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty one."""
    monkeypatch.setenv("GAN_RUNNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def trainings(monkeypatch):
    """The networks that were trained since."""
    trained = []
    train = Classifier.train
    monkeypatch.setattr(
        "gan_runner.extractors.classifier.TrainedClassifier.train",
        lambda self, network, *data: trained.append(network) or train(self, network, *data),
    )
    return trained


def right(eye, split="validation"):
    """The share of a split's images of which it is right."""
    hits = [eye.extract(batch["data"]).logits.argmax(1) == batch["label"] for batch in DIGITS.load(CPU, split).epoch()]
    return torch.cat(hits).double().mean().item()


def test_it_tells_digits_that_it_has_not_seen():
    assert right(Classifier(steps=400).open(DIGITS, CPU)) > 0.95


def test_softmax_regression_tells_most_digits():
    assert right(SoftmaxRegression(steps=300).open(DIGITS, CPU)) > 0.9


def test_softmax_regression_starts_at_the_loss_of_who_knows_nothing():
    """Weights are zero, so that every class is as probable as any other: log K nats."""
    network = SoftmaxRegression().new(DIGITS.shape, 10, CPU)
    batch = next(DIGITS.load(CPU).stream(0, 64, seed=0))
    loss = nn.functional.cross_entropy(network(batch["data"]), batch["label"])
    assert loss.item() == pytest.approx(math.log(10), rel=1e-6)
    assert torch.allclose(network.body(batch["data"]), (batch["data"].flatten(1) + 1) / 2)


def test_what_is_said_of_it_is_its_share_of_held_out_images(cache, caplog):
    caplog.set_level(logging.INFO, "gan_runner")
    logging.getLogger("gan_runner").propagate = True
    eye = QUICK.open(DIGITS, CPU)
    assert f"right on {100 * right(eye):.2f} % of the validation images" in caplog.text
    assert "kept" not in caplog.text
    QUICK.open(DIGITS, CPU)
    assert "(from the cache)" in caplog.text


def test_accuracy_is_the_share_of_all_images():
    labels = torch.tensor([0, 1, 1, 1, 0, 1, 0])
    images = torch.zeros(7, 1, 1, 1, dtype=torch.uint8)
    data = ImageDataset(image_size=1, channels=1)
    object.__setattr__(data, "source", lambda: ArraySource("dots", images, labels, 1, 1))
    always_one = torch.tensor([[0.0, 1.0]])
    share = accuracy(lambda x: always_one.expand(len(x), 2), data.load(CPU), Classes(("no", "yes")))
    assert share == pytest.approx(4 / 7)


def test_attributes_are_learnt_question_by_question(cache):
    """Images whose left half tells one of three greys, and whose right half is black or white."""
    generator = torch.Generator().manual_seed(0)
    grey, white = (torch.randint(k, (600,), generator=generator) for k in (3, 2))
    images = torch.zeros(600, 4, 4, dtype=torch.uint8)
    images[:, :, :2] = (100 * grey).to(torch.uint8).view(-1, 1, 1)
    images[:, :, 2:] = (255 * white).to(torch.uint8).view(-1, 1, 1)
    labels = torch.cat([nn.functional.one_hot(grey, 3), white.unsqueeze(1)], 1)

    class Halves(ImageDataset):
        """Two questions an image."""

        labels = Attributes(("dark", "medium", "light", "white"), (("dark", "medium", "light"),))

        def source(self):
            return ArraySource("halves", images, labels, 4, 1)

    data = Halves(image_size=4, channels=1)
    logits = (
        Classifier(steps=300, lr=0.01, width=8, features=32).open(data, CPU).extract(data.load(CPU).real(600)).logits
    )
    truth = data.load(CPU).first(600)["label"]
    assert logits.shape == (600, 4)
    assert (logits[:, :3].argmax(1) == truth[:, :3].argmax(1)).double().mean() > 0.98
    assert ((logits[:, 3] > 0) == (truth[:, 3] == 1)).double().mean() > 0.98


def test_it_is_trained_once_and_then_kept(cache, trainings):
    first = QUICK.open(DIGITS, CPU)
    images = DIGITS.load(CPU).real(50)
    again = QUICK.open(DIGITS, CPU)
    assert len(trainings) == 1
    assert again.identity == first.identity
    assert torch.equal(again.extract(images).logits, first.extract(images).logits)
    assert torch.equal(again.extract(images).features, first.extract(images).features)


@pytest.mark.parametrize("broken", [b"", b"hello", "cut"])
def test_what_is_kept_broken_is_trained_anew(cache, trainings, broken):
    images = DIGITS.load(CPU).real(50)
    first = QUICK.open(DIGITS, CPU).extract(images)
    (kept,) = cache.rglob("*.pt")
    kept.write_bytes(kept.read_bytes()[:500] if broken == "cut" else broken)
    assert torch.equal(QUICK.open(DIGITS, CPU).extract(images).logits, first.logits)
    assert len(trainings) == 2
    QUICK.open(DIGITS, CPU)
    assert len(trainings) == 2  # for it has been mended


def test_where_nothing_can_be_kept_it_works_all_the_same(cache, trainings):
    cache.write_text("a file where the folder should be")
    images = DIGITS.load(CPU).real(50)
    first, second = (QUICK.open(DIGITS, CPU).extract(images).logits for _ in range(2))
    assert torch.equal(first, second)
    assert len(trainings) == 2


@pytest.mark.parametrize("recipe", [QUICK, SoftmaxRegression(steps=5)])
def test_the_same_whatever_was_drawn_before_and_it_draws_nothing(monkeypatch, tmp_path, recipe):
    images, seen = DIGITS.load(CPU).real(20), []
    for seed in (1, 2):
        monkeypatch.setenv("GAN_RUNNER_CACHE", str(tmp_path / str(seed)))
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        seen.append(recipe.open(DIGITS, CPU).extract(images).logits)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*seen)


def test_seeding_it_seeds_no_gpu(monkeypatch):
    """torch.manual_seed would, and a run on a GPU draws there."""
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("all generators were seeded"))
    QUICK.new(DIGITS.shape, 10, CPU)


def test_looking_leaves_no_graph(cache):
    seen = QUICK.open(DIGITS, CPU).extract(DIGITS.load(CPU).real(3).requires_grad_())
    assert not seen.features.requires_grad
    assert not seen.logits.requires_grad


@pytest.mark.parametrize(
    ("names", "channels", "trained"),
    [("ab", 1, 1), ("abc", 1, 2), ("ac", 1, 2), ("ab", 3, 2)],
    ids=["again", "more classes", "other classes", "colours"],
)
def test_the_key_has_the_classes_and_the_shape(cache, trainings, names, channels, trained):
    def logits(names, channels):
        class Black(ImageDataset):
            """Black images of two classes."""

            labels = Classes(tuple(names))

            def source(self):
                return ArraySource("black", torch.zeros(64, 4, 4).byte(), torch.arange(64) % 2, 4, channels)

        data = Black(image_size=4, channels=channels)
        return QUICK.open(data, CPU).extract(data.load(CPU).real(3)).logits

    logits("ab", 1)
    assert logits(names, channels).shape == (3, len(names))
    assert len(trainings) == trained


def test_equal_images_have_one_classifier_however_they_are_held(cache, trainings):
    streamed = Digits(image_size=8, held_out=300, resident=False, workers=0)
    assert QUICK.open(streamed, CPU).identity == QUICK.open(DIGITS, CPU).identity
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("recipe", "dataset"),
    [
        (Classifier(steps=6, batch_size=16, width=4, features=8), DIGITS),
        (QUICK, Digits(image_size=8, held_out=301)),
        (QUICK, Digits(image_size=8, held_out=300, flip=True)),
        (QUICK, Digits(image_size=9, held_out=300)),
    ],
)
def test_another_recipe_or_other_data_have_another(cache, trainings, recipe, dataset):
    assert QUICK.open(DIGITS, CPU).identity != recipe.open(dataset, CPU).identity
    assert len(trainings) == 2


def test_a_folder_without_classes_is_refused_in_one_line_before_any_data_is_read(gan_run, tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    for number in range(4):
        Image.new("L", (8, 8), 50 * number).save(tmp_path / "images" / f"{number}.png")
    assert ImageFolder(root=str(tmp_path / "images"), image_size=8).load(CPU).labels.tolist() == [0] * 4
    line = ["dataset=image_folder", f"dataset.root={tmp_path}/images", "dataset.image_size=8", "dataset.workers=0"]
    line += ["metric=[frechet_distance]", "objective=null", "logger.mode=disabled", "hydra.run.dir=run"]
    code, _, err = gan_run(*line, "model.generator.width=4", "model.discriminator.width=4")
    assert code == 2
    assert "needs at least two classes, and this dataset has fewer; choose extractor=torchvision" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_is_drawn_afresh_or_is_no_image_is_refused():
    def check(dataset):
        check_requirements(SimpleNamespace(requirements=(QUICK.check,)), SimpleNamespace(dataset=dataset))

    check(DIGITS)
    with pytest.raises(ValueError, match="this data is generated without end; choose"):
        check(StackedDigits(digits=Digits(resident=True)))
    with pytest.raises(ValueError, match="this data is points"):
        check(Ring())


@pytest.mark.skipif(os.environ.get("CUDA_VISIBLE_DEVICES") == "", reason="no GPU is to be seen")
def test_on_a_gpu_the_random_numbers_there_are_untouched(cache):
    before = torch.cuda.get_rng_state()
    QUICK.open(DIGITS, torch.device("cuda"))
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.parametrize(("side", "channels"), list(itertools.product((4, 5, 28), (1, 3))))
def test_any_size_has_features_of_the_chosen_number(side, channels):
    network = QUICK.new((channels, side, side), 3, CPU)
    assert network.body(torch.zeros(2, channels, side, side)).shape == (2, 8)
    assert network(torch.zeros(2, channels, side, side)).shape == (2, 3)
