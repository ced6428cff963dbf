"""Drawn shapes with captions: what a sentence says can be seen, and some pairs of colour and shape are never seen.

All of it is drawn: no file is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_runner.datasets.base import rng
from gan_runner.datasets.captions import CaptionedImageDataset, CaptionedSource, Captions, encode_all
from gan_runner.datasets.images import CHUNK, Item, Source
from gan_runner.datasets.labels import Attributes, found, listed
from gan_runner.datasets.tinted import COLOURS

BACKGROUNDS = {"black": 0, "white": 255, "grey": 128}
RADII = {"small": 0.12, "large": 0.2}
"""Of the side of the image."""

OFFSET = 0.24  # of the middle of the outer places from that of the image, as a share of its side
POSITIONS = {
    "top left": (-1, -1),
    "top": (0, -1),
    "top right": (1, -1),
    "left": (-1, 0),
    "centre": (0, 0),
    "right": (1, 0),
    "bottom left": (-1, 1),
    "bottom": (0, 1),
    "bottom right": (1, 1),
}
"""To the right and downwards."""


# Signed distances (n, h, w) to the outlines of shapes of radius about 1, negative inside, at points x to the right and
# y downwards. Near corners they may be too small, which no antialiasing shows.


def circle(x: Tensor, y: Tensor) -> Tensor:
    """Radius 1."""
    return torch.hypot(x, y) - 1


def ring(x: Tensor, y: Tensor) -> Tensor:
    """From radius 0.5 to 1."""
    return (torch.hypot(x, y) - 0.75).abs() - 0.25


def square(x: Tensor, y: Tensor, half: float = 0.85) -> Tensor:
    """Upright, of so much half a side."""
    return torch.maximum(x.abs(), y.abs()) - half


def cross(x: Tensor, y: Tensor) -> Tensor:
    """Two bars, three times as long as wide."""
    long, wide = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    return torch.maximum(long - 1, wide - 0.33)


def diamond(x: Tensor, y: Tensor) -> Tensor:
    """Half as high again as wide."""
    across, up = 1 / 0.75, 1 / 1.125
    return (x.abs() * across + y.abs() * up - 1) / math.hypot(across, up)


def triangle(x: Tensor, y: Tensor) -> Tensor:
    """Equilateral, standing on a side; corners at distance 1.2 from its middle."""
    y = y - 0.15
    return torch.maximum(y, x.abs() * math.sqrt(3) / 2 - y / 2) - 0.6


def star(x: Tensor, y: Tensor, points: int = 5, inner: float = 0.45) -> Tensor:
    """One point upwards, at distance 1.1; the corners between points are at `inner`."""
    outer, sector = 1.1, math.pi / points
    angle = (torch.atan2(x, -y) + sector).remainder(2 * sector).sub(sector).abs()
    radius = torch.hypot(x, y)
    end = (inner * math.cos(sector), inner * math.sin(sector))  # the side leads there from (outer, 0)
    along = (end[0] - outer, end[1])
    away = along[1] * (radius * angle.cos() - outer) - along[0] * radius * angle.sin()
    return away / math.hypot(*along)


def heart(x: Tensor, y: Tensor, half: float = 0.6) -> Tensor:
    """A square on its corner, of so much half a side, with half a disc on each of its upper sides."""
    y = -y - 0.15 * half
    u, v = (x + y) / math.sqrt(2), (y - x) / math.sqrt(2)
    discs = torch.minimum(torch.hypot(u - half, v), torch.hypot(u, v - half)) - half
    return torch.minimum(square(u, v, half), discs)


OUTLINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "diamond": diamond,
    "star": star,
    "cross": cross,
    "ring": ring,
    "heart": heart,
}

COLOURED = tuple(name for name in COLOURS if name not in ("brown", "white"))
SHAPES = tuple(OUTLINES)
JITTERS = 7  # two of the place, one of size, one of angle, three of colour

WORDS = {
    "small": ("small", "tiny", "little"),
    "large": ("large", "big", "huge"),
    "purple": ("purple", "violet"),
    "cyan": ("cyan", "turquoise"),
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "diamond": ("diamond", "rhombus"),
    "cross": ("cross", "plus"),
    "ring": ("ring", "hoop"),
    "top left": ("at the top left", "in the upper left corner"),
    "top": ("at the top", "near the upper edge"),
    "top right": ("at the top right", "in the upper right corner"),
    "left": ("on the left", "near the left edge"),
    "centre": ("in the centre", "in the middle"),
    "right": ("on the right", "near the right edge"),
    "bottom left": ("at the bottom left", "in the lower left corner"),
    "bottom": ("at the bottom", "near the lower edge"),
    "bottom right": ("at the bottom right", "in the lower right corner"),
    "black background": ("on a black background", "on black"),
    "white background": ("on a white background", "on white"),
    "grey background": ("on a grey background", "on grey"),
}
"""What is called otherwise than it is named."""

FRAMES = (
    "{thing}{place}{background}",
    "there is {thing}{place}{background}",
    "this image shows {thing}{place}{background}",
    "a picture of {thing}{place}{background}",
    "{background}, {thing}{place}",
    "{place}{background} there is {thing}",
)


@dataclass(frozen=True, kw_only=True)
class CaptionedShapes(CaptionedImageDataset):
    """One shape an image; colour, shape, size, position and background are drawn independently of each other.

    Some pairs of a colour and a shape are never trained on: they are what the test split holds, and nothing else, so
    that it can be seen whether what a sentence says was learnt by its parts (zero-shot).

    Args:
        count: images to train on, those that are held out included.
        test_count: images for testing.
        colours: that shapes may have.
        shapes: that there are.
        unseen: pairs that are only for testing, by name ("red circle"), or how many: then of as many colours and
            shapes as possible.
        phrasings: captions of an image. Each names colour and shape, and with probability ½ each size, position and
            background.
        seed: fixes all of it.

    Raises:
        ValueError: what cannot be drawn, or a colour or shape that would not be seen at all.
    """

    count: int = 20_000
    test_count: int = 2_000
    colours: tuple[str, ...] = COLOURED
    shapes: tuple[str, ...] = SHAPES
    unseen: int | tuple[str, ...] = 16
    phrasings: int = 5
    seed: int = 0
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("count", "test_count", "phrasings"):
            if getattr(self, name) < 1:
                raise ValueError(f"dataset.{name} must be at least 1, not {getattr(self, name)}")
        if self.flip:
            raise ValueError("dataset.flip=true would make captions untrue that say left or right; leave it out")
        if self.channels != 3:
            raise ValueError("dataset.channels must be 3: captions tell of colours")
        for option, names, all_names in (("colours", self.colours, COLOURED), ("shapes", self.shapes, SHAPES)):
            if not names or not set(names) <= set(all_names):
                raise ValueError(f"dataset.{option} must be some of {listed(all_names)}, not {list(names)}")
        left = [pair for pair in product(self.colours, self.shapes) if pair not in self.unseen_pairs]
        for option, names, place in (("colours", self.colours, 0), ("shapes", self.shapes, 1)):
            if gone := sorted(set(names) - {pair[place] for pair in left}):
                raise ValueError(f"dataset.unseen leaves nothing of dataset.{option} {listed(tuple(gone))}; name fewer")

    @property
    def unseen_pairs(self) -> tuple[tuple[str, str], ...]:
        """Colour and shape of what is only for testing."""
        colours, shapes = tuple(self.colours), tuple(self.shapes)
        if not isinstance(self.unseen, int):
            pairs = {f"{colour} {shape}": (colour, shape) for colour, shape in product(colours, shapes)}
            names = [found(name, tuple(pairs)) for name in self.unseen]
            if None in names or len(set(names)) < len(names):
                raise ValueError(
                    f"dataset.unseen={list(self.unseen)} must be different pairs such as {next(iter(pairs))!r}"
                )
            return tuple(pairs[name] for name in names if name is not None)
        if not 0 <= self.unseen < len(colours) * len(shapes):
            raise ValueError(
                f"dataset.unseen={self.unseen} must be from 0 to fewer than all {len(colours) * len(shapes)} pairs"
            )
        # Along diagonals of the table of pairs: each takes one shape of every colour, and another of each.
        start = torch.randperm(len(shapes), generator=rng(self.seed, 2)).tolist()
        turns = (divmod(i, len(colours)) for i in range(self.unseen))
        return tuple((colours[i], shapes[(start[i % len(shapes)] + turn) % len(shapes)]) for turn, i in turns)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Colours, shapes, sizes, positions and backgrounds."""
        backgrounds = tuple(f"{name} background" for name in BACKGROUNDS)
        return tuple(self.colours), tuple(self.shapes), tuple(RADII), tuple(POSITIONS), backgrounds

    @property
    def labels(self) -> Attributes:
        """What there is, one of each group."""
        return Attributes(tuple(name for group in self.groups for name in group), self.groups)

    @property
    def has_test(self) -> bool:
        """Whether there are pairs that are not trained on."""
        return bool(self.unseen_pairs)

    def source(self) -> CaptionedSource:
        """Pairs that are trained on."""
        unseen = set(self.unseen_pairs)
        return self.drawn(self.count, [p for p in product(self.colours, self.shapes) if p not in unseen], 0)

    def test_source(self) -> CaptionedSource:
        """Pairs that are not."""
        return self.drawn(self.test_count, self.unseen_pairs, 1)

    def drawn(self, n: int, pairs: Sequence[tuple[str, str]], number: int) -> CaptionedSource:
        """So many scenes with these colours and shapes, each pair as probable as any other."""
        generator = rng(self.seed, number)
        draw = partial(torch.randint, size=(n,), generator=generator)
        place = torch.tensor([(self.colours.index(colour), self.shapes.index(shape)) for colour, shape in pairs])
        chosen = place[draw(len(pairs))]
        others = torch.stack([draw(len(group)) for group in self.groups[2:]], 1)
        scenes = torch.cat([chosen, others], 1)
        jitter = torch.rand(n, JITTERS, generator=generator) * 2 - 1
        images = Scenes("drawn shapes", self.groups, scenes, jitter, self.image_size)
        return CaptionedSource(images, self.described(scenes, generator))

    def described(self, scenes: Tensor, generator: torch.Generator) -> Captions:
        """Sentences about scenes (n, 5), so many about each."""
        scenes = scenes.repeat_interleave(self.phrasings, 0)
        said = torch.randint(2, scenes.shape, generator=generator)
        said[:, :2] = 1
        dice = torch.randint(2**30, (len(scenes), scenes.shape[1] + 1), generator=generator)
        choices = [[WORDS.get(name, (name,)) for name in group] for group in self.groups]
        texts = [sentence(choices, *row) for row in zip(scenes.tolist(), said.tolist(), dice.tolist())]
        parts = [one_hot(column, len(group)) for column, group in zip(scenes.T, self.groups)]
        labels = torch.cat([part * there[:, None] for part, there in zip(parts, said.T)], 1)
        first = torch.arange(0, len(scenes) + 1, self.phrasings)
        return Captions(encode_all(texts, self.caption_length), first, labels.to(torch.uint8))


def sentence(
    choices: Sequence[Sequence[Sequence[str]]], scene: Sequence[int], said: Sequence[int], dice: Sequence[int]
) -> str:
    """A scene in words.

    Args:
        choices: words for what there may be, of each group.
        scene: which of each there is.
        said: whether the sentence speaks of it; colour and shape must be.
        dice: whole numbers that decide between words, one for each group, and between frames.
    """
    colour, shape, size, position, background = (
        words[place][die % len(words[place])] if there else ""
        for words, place, there, die in zip(choices, scene, said, dice)
    )
    adjectives = f"{size} {colour}" if size else colour
    thing = f"{'an' if adjectives[0] in 'aeiou' else 'a'} {adjectives} {shape}"
    frames = len(FRAMES) if position and background else len(FRAMES) - 1 if background else len(FRAMES) - 2
    text = FRAMES[dice[-1] % frames].format(thing=thing, place=f" {position}", background=f" {background}")
    return " ".join(text.split())


class Scenes(Source):
    """Shapes to be drawn.

    Args:
        name: for people.
        groups: names of colours, shapes, sizes, positions and backgrounds.
        scenes: (n, 5) which of each.
        jitter: (n, 7) in [−1, 1], by which no two are alike.
        size: side in pixels.
    """

    def __init__(self, name: str, groups: Sequence[Sequence[str]], scenes: Tensor, jitter: Tensor, size: int):
        super().__init__(name, scenes, size, 3)
        self.groups = groups
        self.scenes = scenes
        self.jitter = jitter

    def __getitem__(self, index: int) -> Item:
        images, labels = self.draw(slice(index, index + 1))
        return images[0], labels[0]

    def only(self, indices: Tensor) -> Scenes:
        """Some of the images, in the order of their indices (k,)."""
        chosen = indices.sort().values
        return Scenes(self.name, self.groups, self.scenes[chosen], self.jitter[chosen], self.size)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Images (k, 3, h, w) and labels (k, dim) in order, `size` at a time, in this process."""
        for start in range(0, len(self), size):
            yield self.draw(slice(start, start + size))

    def draw(self, rows: slice) -> Item:
        """Some of them: images (k, 3, h, w) uint8, with coverage for antialiasing, and labels (k, dim)."""
        scenes, jitter = self.scenes[rows], self.jitter[rows]
        labels = torch.cat([one_hot(column, len(group)) for column, group in zip(scenes.T, self.groups)], 1)
        covered = self.coverage(scenes, jitter).unsqueeze(1)
        palette = torch.tensor([COLOURS[name] for name in self.groups[0]])
        ink = (palette[scenes[:, 0]] + 15 * jitter[:, 4:]).clamp(0, 255).view(-1, 3, 1, 1)
        paper = torch.tensor(list(BACKGROUNDS.values()))[scenes[:, 4]].view(-1, 1, 1, 1)
        return (paper + covered * (ink - paper)).round().to(torch.uint8), labels

    def coverage(self, scenes: Tensor, jitter: Tensor) -> Tensor:
        """How much of each pixel is covered: (k, side, side), from the distance to the outline in pixels."""
        place = torch.tensor(list(POSITIONS.values()))[scenes[:, 3]]
        middle = 0.5 + OFFSET * place + 0.03 * jitter[:, :2]
        radius = (torch.tensor(list(RADII.values()))[scenes[:, 2]] * (1 + 0.1 * jitter[:, 2])).view(-1, 1, 1)
        axis = (torch.arange(self.size) + 0.5) / self.size
        x = (axis.view(1, 1, -1) - middle[:, 0].view(-1, 1, 1)) / radius
        y = (axis.view(1, -1, 1) - middle[:, 1].view(-1, 1, 1)) / radius
        angle = (0.15 * jitter[:, 3]).view(-1, 1, 1)
        x, y = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
        distance = torch.empty_like(x)
        for number, name in enumerate(self.groups[1]):
            these = scenes[:, 1] == number
            distance[these] = OUTLINES[name](x[these], y[these])
        return (0.5 - distance * radius * self.size).clamp(0, 1)
