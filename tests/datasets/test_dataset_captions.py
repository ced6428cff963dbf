"""Captions: what characters are in numbers, and which of its sentences an image comes with."""

import random
import string
from dataclasses import dataclass
from itertools import islice

import pytest
import torch

from gan_runner.datasets.base import Batches, Order, rng
from gan_runner.datasets.captions import (
    ALPHABET,
    LENGTH,
    CaptionedImageDataset,
    CaptionedSource,
    collect_captions,
    decode,
    encode,
    encode_all,
    ignored_text,
)
from gan_runner.datasets.images import ArraySource
from gan_runner.datasets.labels import as_classes

CPU = torch.device("cpu")


def test_the_alphabet_is_the_published_one():
    """26 letters, 10 digits, 33 others of which the hyphen is there twice, and the space."""
    assert len(ALPHABET) == 70
    assert set(ALPHABET) == set(string.ascii_lowercase + string.digits + string.punctuation + " ")
    assert len(set(ALPHABET)) == 69
    assert ALPHABET.count("-") == 2


def test_codes_are_places_in_the_alphabet():
    codes = encode("abz9 -", 8)
    assert codes.dtype == torch.uint8
    assert codes.tolist() == [1, 2, 26, 36, 70, ALPHABET.rindex("-") + 1, 0, 0]
    assert encode("a").shape == (LENGTH,) == (201,)


def test_that_decoding_inverts_encoding():
    words = random.Random(0)
    for _ in range(50):
        text = " ".join(
            "".join(words.choices(ALPHABET[:-1], k=words.randint(1, 9))) for _ in range(words.randint(1, 9))
        )
        assert decode(encode(text)) == text


def test_case_and_white_space_make_no_difference():
    assert decode(encode("  A Bird\twith\nRED wings. ")) == "a bird with red wings."


def test_characters_beyond_the_alphabet_leave_a_gap():
    assert encode("aéb", 4).tolist() == [1, 0, 2, 0]
    assert decode(encode("a café, 鳥 🐦 \ud800")) == "a caf,   "


def test_that_ignored_text_is_described():
    assert ignored_text("A bird.", 7) == ""
    assert ignored_text("Cafés à la café", 99) == "characters outside of its alphabet: 'é', 'à'"
    assert ignored_text("abcdé", 4) == "all text after character 4: 'é'"
    assert (
        ignored_text("äbcd ef", 4) == "characters outside of its alphabet: 'ä'; and all text after character 4: ' ef'"
    )


def test_that_long_captions_are_cut():
    assert decode(encode("abcdef", 4)) == "abcd"
    assert decode(encode("x" * 300)) == "x" * 201


@pytest.mark.parametrize("nothing", ["", "   ", "猫", "\0", "赤い 丸"])
def test_a_sentence_without_a_character_is_refused(nothing):
    with pytest.raises(ValueError, match="has no character of the alphabet"):
        encode(nothing)
    with pytest.raises(ValueError, match="has no character of the alphabet"):
        encode_all(["a", nothing, "b"])


def test_many_are_encoded_as_one_by_one(monkeypatch):
    monkeypatch.setattr("gan_runner.datasets.captions.ENCODE_CHUNK", 3)
    texts = [f"number {i}, {'x' * i}" for i in range(10)]
    assert torch.equal(encode_all(texts, 15), torch.stack([encode(text, 15) for text in texts]))


# Images with captions


@dataclass(frozen=True, kw_only=True)
class Numbered(CaptionedImageDataset):
    """Images 0 to 19; image i has i % 3 + 1 captions, "image i caption k", and the class i % 2."""

    image_size: int = 4
    workers: int = 0
    n: int = 20

    @property
    def labels(self):
        return as_classes(2)

    def source(self):
        numbers = torch.arange(self.n)
        images = (10 * numbers).to(torch.uint8).view(-1, 1, 1).expand(-1, 4, 4)
        sentences = [[f"image {i} caption {k}" for k in range(i % 3 + 1)] for i in range(self.n)]
        labels = numbers % 2
        source = ArraySource("numbers", images, labels, self.image_size, self.channels)
        return CaptionedSource(source, collect_captions(sentences, labels, self.caption_length))


HOW = pytest.mark.parametrize("resident", [True, False])


def numbers(batch):
    """Which images a batch holds: (n,)."""
    return ((batch["data"][:, 0].amax((1, 2)) + 1) * 127.5 / 10).round().long()


def content(codes):
    """Image and number of the caption that each sentence names."""
    words = [decode(code).split() for code in codes]
    return torch.tensor([[int(word[1]), int(word[3])] for word in words])


@HOW
def test_a_caption_is_one_of_its_image(resident):
    data = Numbered(resident=resident).load(CPU)
    for batch in islice(data.stream(0, 8, 0), 20):
        assert batch["caption"].shape == (8, 201)
        assert batch["caption"].dtype == torch.int64
        image, number = content(batch["caption"]).T
        assert torch.equal(image, numbers(batch))
        assert torch.equal(batch["label"], image % 2)
        assert (number <= image % 3).all()
    assert data.describe().endswith("; 39 captions")


@HOW
def test_captions_are_drawn_uniformly_and_afresh(resident):
    """Image 2 is drawn 600 times; each of its three captions with probability ⅓."""
    data = Numbered(resident=resident, n=3).load(CPU)
    seen = torch.cat([content(batch["caption"]) for batch in islice(data.stream(0, 30, 0), 60)])
    counts = torch.bincount(seen[seen[:, 0] == 2, 1], minlength=3).double()
    assert counts.sum() == 600
    assert ((counts - 200).square() / 200).sum() < 14  # χ² with 2 degrees of freedom, one in a thousand
    assert (seen[seen[:, 0] == 0, 1] == 0).all()


@HOW
def test_batches_are_a_function_of_seed_and_number_and_rows_are_their_own(resident):
    data = Numbered(resident=resident, flip=True).load(CPU)
    whole = list(islice(Numbered(resident=True, flip=True).load(CPU).stream(0, 6, 1), 8))
    for batch, other in zip(whole[5:], data.stream(5, 6, 1)):
        assert batch.keys() == other.keys() == {"data", "label", "caption"}
        assert all(torch.equal(batch[key], other[key]) for key in batch)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        part = next(data.stream(3, 6, 1, rows))
        assert all(torch.equal(part[key], whole[3][key][rows]) for key in part)
    assert not torch.equal(next(data.stream(0, 6, 2))["caption"], whole[0]["caption"])
    resumed = Batches(data, 6, 1, drawn=7)
    assert torch.equal(next(resumed)["caption"], whole[7]["caption"])


def test_which_caption_does_not_depend_on_whether_the_image_is_mirrored():
    """Not even by the numbers that are drawn: those by which images are mirrored say nothing of the caption."""
    data = Numbered(n=3, flip=True).load(CPU)
    upright = Numbered(n=3).load(CPU)
    for left, right in islice(zip(data.stream(0, 6, 0), upright.stream(0, 6, 0)), 5):
        assert torch.equal(left["caption"], right["caption"])
    chance = torch.rand(500, 1, 1, 1, generator=rng(0, 0))[:, 0, 0, 0]
    image = Order(3, 0).indices(0, 500)
    number = content(next(data.stream(0, 500, 0))["caption"])[:, 1].double()
    of_third = image == 2
    tied = torch.corrcoef(torch.stack([chance[of_third].double(), number[of_third]]))[0, 1]
    assert abs(tied) < 4 / of_third.sum() ** 0.5


@HOW
def test_splits_keep_images_and_captions_together(resident):
    dataset = Numbered(resident=resident, held_out=7)
    shown = {}
    for split, count in (("train", 13), ("validation", 7)):
        data = dataset.load(CPU, split)
        first = data.first(100)
        assert len(first["data"]) == len(data) == count
        assert torch.equal(content(first["caption"])[:, 0], numbers(first))
        shown[split] = set(numbers(first).tolist())
    assert shown["train"] | shown["validation"] == set(range(20))


def test_captions_need_no_images():
    dataset = Numbered(held_out=7)
    codes, labels = dataset.captions(50, "validation")
    assert (codes.shape, codes.dtype, labels.shape) == ((50, 201), torch.int64, (50, 2))
    image, number = content(codes).T
    held = set(numbers(dataset.load(CPU, "validation").first(7)).tolist())
    assert set(image.tolist()) == held
    assert torch.equal(labels.argmax(1), image % 2)
    assert len(set(zip(image.tolist(), number.tolist()))) > 7
    again, _ = dataset.captions(50, "validation")
    at_hand, same = dataset.load(CPU, "validation").captions(50)
    assert torch.equal(codes, again)
    assert torch.equal(codes, at_hand)
    assert torch.equal(labels, same)
    first = dataset.load(CPU, "validation").first(5)
    assert torch.equal(first["caption"], codes[:5])


def test_a_caption_needs_a_length():
    with pytest.raises(ValueError, match=r"dataset\.caption_length must be positive, not 0"):
        Numbered(caption_length=0)
    assert Numbered(caption_length=9).captions(2)[0].shape == (2, 9)
