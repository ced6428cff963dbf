"""Stacked digits: what modes are, how probable each is, and what a classifier makes of them."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import one_hot

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.images import ArraySource, ImageDataset, normalised
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.errors import DataError
from gan_runner.extractors.base import Features, LoadedExtractor
from gan_runner.extractors.classifier import Classifier
from gan_runner.metrics.modes import ClassifiedModes
from gan_runner.metrics.results import Reference, Results

CPU = torch.device("cpu")
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)


class Painted(ImageDataset):
    """Digits that anyone can read: of digit d, all pixels have the value 20 d."""

    def source(self):
        labels = torch.repeat_interleave(torch.arange(10), torch.tensor(COUNTS))
        images = (20 * labels).to(torch.uint8).view(-1, 1, 1).expand(-1, 4, 4)
        return ArraySource("painted digits", images, labels, 4, 1)


PAINTED = StackedDigits(digits=Painted(image_size=4, channels=1, resident=True))
PLAIN = torch.tensor(COUNTS).double() / sum(COUNTS)


def read(images):
    """The digits (n, 3) that images (n, 3, 4, 4) show."""
    return ((images[:, :, 0, 0] + 1) * 127.5 / 20).round().long()


def test_that_modes_follow_the_labels_with_red_as_hundreds():
    batch = next(PAINTED.load(CPU).stream(0, 200, seed=3))
    digits = read(batch["data"])
    assert torch.equal(batch["label"], 100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2])
    assert batch["data"].shape == (200, *PAINTED.shape) == (200, 3, 4, 4)


def test_taken_apart_channels_are_the_digits_and_their_mode_is_the_label():
    batch = next(PAINTED.load(CPU).stream(0, 50, seed=3))
    apart = PAINTED.split_channels(batch["data"])
    assert apart.shape == (150, 1, 4, 4)
    assert torch.equal(apart.view(50, 3, 4, 4), batch["data"])
    assert torch.equal(PAINTED.mode(read(batch["data"]).flatten()), batch["label"])
    in_memory = batch["data"].to(memory_format=torch.channels_last)
    assert torch.equal(PAINTED.split_channels(in_memory), apart)


def test_weights_are_products_of_frequencies():
    weights = PAINTED.load(CPU).mode_weights()
    assert weights.shape == (1000,)
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    for mode in (0, 7, 123, 999):
        expected = math.prod(PLAIN[int(digit)].item() for digit in f"{mode:03}")
        assert weights[mode].item() == pytest.approx(expected, rel=1e-12)


def test_draws_have_these_weights():
    data, n = PAINTED.load(CPU), 20_000
    counts = torch.bincount(next(data.stream(0, n, seed=0))["label"], minlength=1000).double()
    common = data.mode_weights() * n > 5
    expected = data.mode_weights()[common] * n
    squares = ((counts[common] - expected).square() / expected).sum().item()
    freedom = int(common.sum()) - 1
    assert abs(squares - freedom) < 5 * math.sqrt(2 * freedom)  # χ²


def test_a_batch_is_a_function_of_seed_and_number_and_rows_are_its_own():
    data = PAINTED.load(CPU)
    stream = data.stream(0, 6, seed=1)
    batches = [next(stream)["data"] for _ in range(3)]
    assert torch.equal(next(data.stream(2, 6, seed=1))["data"], batches[2])
    assert torch.equal(next(data.stream(2, 6, seed=1, rows=slice(2, 4)))["data"], batches[2][2:4])
    assert not torch.equal(batches[0], batches[1])


def test_splits_are_stacks_of_digits_of_their_own():
    stacked = StackedDigits(digits=Digits(image_size=8, resident=True, held_out=100))
    ours = {tuple(x.flatten().tolist()) for x in normalised(stacked.load(CPU, "validation").digits.images)}
    shown = stacked.split_channels(stacked.load(CPU, "validation").real(30))
    assert {tuple(x.flatten().tolist()) for x in shown} <= ours
    assert not torch.equal(stacked.load(CPU).real(30), stacked.load(CPU, "validation").real(30))


def test_that_missing_or_unsuitable_digits_are_refused():
    with pytest.raises(ValueError, match="must be grey and resident"):
        StackedDigits(digits=Digits(resident=True, channels=3))
    with pytest.raises(ValueError, match="must be grey and resident"):
        StackedDigits(digits=Digits())

    class Letters(Painted):
        def source(self):
            return ArraySource("letters", torch.zeros(3, 4, 4, dtype=torch.uint8), [0, 1, 25], 4, 1)

    with pytest.raises(DataError, match="letters is not labelled 0 to 9"):
        StackedDigits(digits=Letters(image_size=4, channels=1, resident=True)).load(CPU)


@dataclass(frozen=True)
class Reader(Classifier):
    """Reads painted digits without an error."""

    def open(self, dataset, device):
        assert dataset is PAINTED.digits

        def extract(images):
            logits = one_hot(((images[:, 0, 0, 0] + 1) * 127.5 / 20).round().long(), 10).float()
            return Features(logits, logits)

        return LoadedExtractor(extract, "reader")


def modes_of(images):
    system = SimpleNamespace(dataset=PAINTED, loss=None, sample=lambda noise: images[noise[:, 0]])
    noise = torch.arange(len(images)).unsqueeze(1)
    return ClassifiedModes(Reader())(Results(system, noise, Reference(PAINTED, len(images), CPU)))


def test_real_data_miss_their_own_weights_by_sampling_alone():
    """2n · KL is χ²-distributed with a degree of freedom for each mode but one, where all are drawn often enough."""
    n = 40_000
    batch = next(PAINTED.load(CPU).stream(0, n, seed=9))
    found = modes_of(batch["data"])
    assert found["modes"] == len(batch["label"].unique())
    assert 0 < found["reverse_kl"] < 1.2 * 999 / (2 * n)


def test_a_generator_that_collapsed_has_one_mode_of_minus_the_logarithm_of_its_weight():
    """Digit d is drawn with frequency COUNTS[d] / 60."""
    image = (torch.tensor([2, 0, 9]) * 20 / 127.5 - 1).view(1, 3, 1, 1).expand(30, 3, 4, 4)
    found = modes_of(image)
    assert found["modes"] == 1
    assert found["reverse_kl"] == pytest.approx(-math.log(3 * 1 * 15 / 60**3), rel=1e-9)


def test_half_of_the_modes_with_their_share_of_weights_are_at_the_logarithm_of_their_total():
    """q = p / P on some modes, so KL(q ‖ p) = −log P, here of all whose red digit is 9: P = 1/4."""
    modes = [torch.repeat_interleave(torch.arange(10), torch.tensor(COUNTS))] * 2
    digits = torch.cat([torch.full((3600, 1), 9), torch.cartesian_prod(*modes)], 1)
    found = modes_of((digits * 20 / 127.5 - 1).view(-1, 3, 1, 1).expand(-1, 3, 4, 4))
    assert found["modes"] == 100
    assert found["reverse_kl"] == pytest.approx(math.log(4), rel=1e-9)
