"""Drawn shapes: outlines have the areas of geometry, captions are true, and unseen pairs are unseen."""

import math
import re
from functools import cache
from itertools import islice

import pytest
import torch
from torch.nn.functional import one_hot

from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.captions import decode
from gan_runner.datasets.shapes import (
    BACKGROUNDS,
    COLOURED,
    OUTLINES,
    POSITIONS,
    RADII,
    SHAPES,
    WORDS,
    CaptionedShapes,
    Scenes,
)
from gan_runner.datasets.tinted import COLOURS

CPU = torch.device("cpu")


def few(**options):
    """Not many of them."""
    return CaptionedShapes(**{"count": 400, "test_count": 200, "caption_length": 96, "workers": 0, **options})


# Outlines

SIN36 = math.sin(math.pi / 5)
AREAS = {
    "circle": math.pi,
    "ring": math.pi * (1 - 0.5**2),
    "square": 1.7**2,
    "cross": 2 * 2 * 0.66 - 0.66**2,
    "diamond": 2 * 0.75 * 1.125,
    "triangle": 3 * math.sqrt(3) * 0.6**2,
    "star": 5 * 1.1 * 0.45 * SIN36,
    "heart": (4 + math.pi) * 0.6**2,
}


@pytest.mark.parametrize("name", SHAPES)
def test_areas_are_those_of_geometry(name):
    axis = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000 * 3 - 1.5
    inside = OUTLINES[name](axis.view(1, -1), axis.view(-1, 1)) < 0
    assert inside.double().mean().item() * 9 == pytest.approx(AREAS[name], rel=4e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_distances_change_no_faster_than_the_place(name):
    """|f(p) − f(q)| ≤ ‖p − q‖, and with slope 1 across an edge: what antialiasing relies on."""
    points = torch.rand(2000, 2, dtype=torch.float64, requires_grad=True).mul(3).sub(1.5)
    near = points + 0.01 * torch.randn_like(points)
    change = (OUTLINES[name](*points.T) - OUTLINES[name](*near.T)).abs()
    assert (change <= (points - near).norm(dim=1) * (1 + 1e-9)).all()
    (slope,) = torch.autograd.grad(OUTLINES[name](*points.T).sum(), points)
    assert slope.norm(dim=1).median().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_the_number_of_covered_pixels_is_the_area(name):
    """Antialiased: a pixel counts by how much of it is covered, whatever the size and the angle."""
    scenes = torch.zeros(30, 5, dtype=torch.long)
    scenes[:, 1], scenes[:, 2], scenes[:, 3] = SHAPES.index(name), torch.arange(30) % 2, 4
    jitter = torch.rand(30, 7) * 2 - 1
    images = Scenes("x", few().groups, scenes, jitter, 64)
    radius = 64 * torch.tensor(list(RADII.values()))[scenes[:, 2]] * (1 + 0.1 * jitter[:, 2])
    covered = images.coverage(scenes, jitter).sum((1, 2))
    assert (covered / (AREAS[name] * radius**2) - 1).abs().max() < 0.05


# Images


@cache
def train():
    return few(count=3000).load(CPU)


def seen(images):
    """Colour, size, position and background (n, 4), measured on images (n, 3, 32, 32) in [−1, 1]."""
    pixels = (images + 1) * 127.5
    paper = pixels[:, :, 0, 0]
    background = (paper.mean(1, keepdim=True) - torch.tensor([*BACKGROUNDS.values()]).float()).abs().argmin(1)
    away = (pixels - paper[:, :, None, None]).abs().sum(1)
    inside = away > 0.95 * away.amax((1, 2), keepdim=True)
    mean = (pixels * inside.unsqueeze(1)).sum((2, 3)) / inside.sum((1, 2)).unsqueeze(1)
    palette = torch.tensor([COLOURS[name] for name in COLOURED]).float()
    shown = away / away.amax((1, 2), keepdim=True)
    axis = (torch.arange(32) + 0.5) / 32 - 0.5
    middle = torch.stack([(shown.sum(1) * axis).sum(1), (shown.sum(2) * axis).sum(1)], 1) / shown.sum((1, 2))[:, None]
    position = torch.cdist(middle, 0.24 * torch.tensor([*POSITIONS.values()]).float()).argmin(1)
    extent = (shown > 0.5).any(1).sum(1) / 32
    size = (extent > 0.31).long()
    return torch.stack([torch.cdist(mean, palette).argmin(1), size, position, background], 1)


def test_that_labels_describe_the_image():
    """Of the size only for shapes that are as wide as high."""
    data, groups = train(), few().groups
    labels = [part.argmax(1) for part in data.data.labels.split([len(group) for group in groups], 1)]
    found = seen(data.data.images / 127.5 - 1)
    for name, column, label in zip(("colour", "position", "background"), (0, 2, 3), (0, 3, 4)):
        assert (found[:, column] == labels[label]).float().mean() > 0.995, name
    round_ones = torch.isin(labels[1], torch.tensor([SHAPES.index(name) for name in ("circle", "ring", "square")]))
    assert (found[round_ones, 1] == labels[2][round_ones]).float().mean() > 0.99


def test_groups_are_drawn_independently_and_evenly():
    labels = train().data.labels.double()
    groups = few().groups
    assert labels.shape == (3000, few().labels.dim) == (3000, 30)
    for group, part in zip(groups, labels.split([len(group) for group in groups], 1)):
        assert (part.sum(1) == 1).all()
        expected = 3000 / len(group)
        assert ((part.sum(0) - expected) ** 2 / expected).sum() < len(group) - 1 + 5 * math.sqrt(2 * len(group))
    colour, size = labels[:, :8], labels[:, 16:18]
    table, expected = colour.T @ size, colour.sum(0)[:, None] * size.sum(0) / 3000
    assert ((table - expected) ** 2 / expected).sum() < 7 + 5 * math.sqrt(14)


def test_that_all_images_differ():
    images = train().data.images
    assert len(images.flatten(1).unique(dim=0)) == len(images)


@pytest.mark.parametrize("resident", [True, False])
def test_batches_go_on_where_they_stopped_and_rows_are_their_own(resident):
    data = few(resident=resident).load(CPU)
    whole = list(islice(few(resident=True).load(CPU).stream(0, 6, 1), 5))
    for batch, other in zip(whole[3:], data.stream(3, 6, 1)):
        assert all(torch.equal(batch[key], other[key]) for key in ("data", "label", "caption"))
    part = next(data.stream(4, 6, 1, slice(2, 4)))
    assert all(torch.equal(part[key], whole[4][key][2:4]) for key in part)


def test_a_seed_fixes_everything():
    for split in ("train", "test"):
        first, again, other = (few(seed=seed).load(CPU, split) for seed in (0, 0, 1))
        assert torch.equal(first.data.images, again.data.images)
        assert torch.equal(first.codes, again.codes)
        assert not torch.equal(first.data.images, other.data.images)
    assert few(seed=0).unseen_pairs != few(seed=1).unseen_pairs


def test_at_any_size():
    small, large = (few(count=50, image_size=size).load(CPU).first(50)["data"] for size in (16, 64))
    assert large.shape == (50, 3, 64, 64)
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert (shrunk - small).abs().mean() < 0.03  # the same pictures


# Captions

PHRASES = {phrase: name for name in few().labels.names for phrase in WORDS.get(name, (name,))}
PATTERN = re.compile(r"\b(" + "|".join(sorted(map(re.escape, PHRASES), key=len, reverse=True)) + r")\b")


def test_that_captions_are_true_and_agree_with_their_labels():
    dataset = few(count=2000, phrasings=1)
    data = dataset.load(CPU).first(2000)
    captions, mentioned = dataset.captions(2000)
    assert torch.equal(captions, data["caption"])
    for code, vector, label in zip(captions, mentioned, data["label"]):
        named = {PHRASES[phrase] for phrase in PATTERN.findall(decode(code))}
        assert named == set(dataset.labels.describe(vector).split(", ")), decode(code)
        assert ((vector == 0) | (label == 1)).all()
    groups = mentioned.split([len(group) for group in dataset.groups], 1)
    assert (groups[0].sum(1) == 1).all()
    assert (groups[1].sum(1) == 1).all()
    for group in groups[2:]:
        assert abs(group.sum(1).mean().item() - 0.5) < 4 * 0.5 / math.sqrt(2000)


def test_captions_are_sentences():
    texts = [decode(code) for code in few().captions(1000)[0]]
    assert len(set(texts)) > 500
    for text in texts:
        assert re.search(r"\b(an (orange)|a (?![aeiou]))", text), text
        assert not re.search(r"  |\ban [^aeiou]|\ba [aeiou]|^ | $| ,|^,|\{", text), text
        assert len(text) < 96
    for phrase in PHRASES:
        assert any(phrase in text for text in texts), phrase


def test_an_image_has_several_captions():
    data = few(phrasings=4).load(CPU)
    assert len(data.codes) == 1600
    distinct = [len(four.unique(dim=0)) for four in data.codes.view(400, 4, -1)]
    assert sum(distinct) / 400 > 3.2


def test_captions_of_a_split_need_no_image(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Scenes, "draw", None)
        codes, mentioned = few().captions(64, "test")
    assert codes.shape == (64, 96)
    at_hand = few().load(CPU, "test").captions(64)
    assert torch.equal(codes, at_hand[0])
    assert torch.equal(mentioned, at_hand[1])


# Unseen pairs


def pairs_of(dataset, split):
    labels = dataset.load(CPU, split).data.labels
    colours, shapes = (part.argmax(1) for part in labels[:, :16].split(8, 1))
    return {(COLOURED[colour], SHAPES[shape]) for colour, shape in zip(colours.tolist(), shapes.tolist())}


def test_test_holds_the_unseen_pairs_and_nothing_else_does():
    dataset = few(count=3000, held_out=1000)
    assert dataset.splits == ("train", "validation", "test")
    unseen = set(dataset.unseen_pairs)
    assert len(unseen) == len(dataset.unseen_pairs) == 16
    assert pairs_of(dataset, "test") == unseen
    for split in ("train", "validation"):
        assert len(pairs_of(dataset, split)) == 48
        assert not pairs_of(dataset, split) & unseen
    words = [set(PATTERN.findall(decode(code))) for code in dataset.captions(1500)[0]]
    assert not any({colour, shape} <= mentioned for mentioned in words for colour, shape in unseen)


@pytest.mark.parametrize("unseen", [1, 8, 16, 40, 56])
def test_unseen_pairs_are_of_as_many_colours_and_shapes_as_possible(unseen):
    pairs = few(unseen=unseen).unseen_pairs
    for place, names in enumerate((COLOURED, SHAPES)):
        counts = [sum(pair[place] == name for pair in pairs) for name in names]
        assert max(counts) - min(counts) <= 1


def test_unseen_pairs_may_be_named():
    dataset = few(unseen=("Red Circle", "blue star"))
    assert dataset.unseen_pairs == (("red", "circle"), ("blue", "star"))
    assert pairs_of(dataset, "test") == set(dataset.unseen_pairs)


def test_without_unseen_pairs_there_is_no_test():
    assert few(unseen=0).splits == few(unseen=()).splits == ("train",)


def test_fewer_colours_and_shapes():
    dataset = few(colours=("blue", "red"), shapes=("ring", "circle", "star"), unseen=2, held_out=20)
    assert dataset.labels.dim == 2 + 3 + 2 + 9 + 3
    data = dataset.load(CPU)
    assert torch.equal(data.data.labels[:, :2], one_hot(seen(data.data.images / 127.5 - 1)[:, 0].eq(0).long(), 2))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"unseen": 64}, "dataset.unseen=64 must be at least 0 and below the number of pairs, 64"),
        ({"unseen": 57}, "dataset.unseen leaves no training images for dataset.colours"),
        ({"unseen": ("red moon",)}, "dataset.unseen=['red moon'] must be different pairs such as 'red circle'"),
        ({"unseen": ("red ring", "red ring")}, "must be different pairs"),
        (
            {"colours": ("red", "blue"), "unseen": ("red ring", "blue ring")},
            "leaves no training images for dataset.shapes ring;",
        ),
        ({"colours": ("red", "mauve")}, "dataset.colours must be some of red, orange"),
        ({"shapes": ()}, "dataset.shapes must be some of circle, square"),
        ({"flip": True}, "dataset.flip=true would make captions with left or right wrong"),
        ({"channels": 1}, "dataset.channels must be 3"),
        ({"phrasings": 0}, "dataset.phrasings must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        few(**options)


def test_as_configured(hydra_config):
    config = hydra_config("dataset=captioned_shapes", "dataset.count=100", "dataset.unseen=[red ring]")
    dataset = build("dataset", resolve(config).dataset)
    assert dataset == CaptionedShapes(count=100, unseen=["red ring"], caption_length=96, workers=0, **LISTS)
    assert next(dataset.load(CPU).stream(0, 3, 0))["data"].shape == (3, *dataset.shape) == (3, 3, 32, 32)


LISTS = {"colours": list(COLOURED), "shapes": list(SHAPES)}
