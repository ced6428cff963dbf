"""Test which captions are stored with a conditional generator."""

import pytest
import torch

from gan_runner.datasets.captions import decode
from gan_runner.datasets.shapes import WORDS, CaptionedShapes
from gan_runner.models.conditions import TextCondition
from gan_runner.models.text import JointEmbedding, TextEncoder

SHAPES = CaptionedShapes(image_size=8, count=150, test_count=40, caption_length=90, workers=0)


@pytest.fixture(scope="module")
def condition():
    made = TextCondition(SHAPES, TextEncoder(90, dim=4, widths=(4, 4)), JointEmbedding(steps=0))
    made.prepare(SHAPES.load(torch.device("cpu")))
    return made


def pairs_in(sentence):
    """The pair of colour and shape that a caption names, apart from the colour of the background."""
    words = sentence.split()

    def named(names):
        return [name for name in names if any(word in words for word in WORDS.get(name, (name,)))]

    return {(colour, shape) for colour in named(SHAPES.colours) for shape in named(SHAPES.shapes)}


def test_samples_are_drawn_for_training_captions_only(condition):
    """Test that no stored training caption names an unseen pair of colour and shape."""
    known = [pairs_in(decode(codes)) for codes in condition.known.unique(dim=0)]
    assert len(known) > 100
    assert all(len(pairs) == 1 for pairs in known)
    assert not set.union(*known) & set(SHAPES.unseen_pairs)
    drawn = condition.draw(50, torch.Generator().manual_seed(0))
    apart = (drawn.unsqueeze(1) - condition.phi(condition.known).unsqueeze(0)).abs().amax(2)
    assert apart.amin(1).max() < 1e-5


def test_pictures_show_captions_of_unseen_pairs(condition):
    _, sentences = condition.examples(20)
    assert len(sentences) == 20
    assert set.union(*map(pairs_in, sentences)) <= set(SHAPES.unseen_pairs)
