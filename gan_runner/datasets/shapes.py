"""Synthetic images of shapes with captions, which test whether a text-to-image GAN composes what it has learned.

Images and captions are generated, so no file is read. Some pairs of colour and shape are held out for testing.
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
from gan_runner.datasets.labels import Attributes, format_choices, match_name
from gan_runner.datasets.tinted import COLOURS

BACKGROUNDS = {"black": 0, "white": 255, "grey": 128}
RADII = {"small": 0.12, "large": 0.2}
"""Radii of shapes, as fractions of the side of the image."""

OFFSET = 0.24  # distance of the outer positions from the centre, as a fraction of the side
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
"""Offsets from the centre: (to the right, downwards)."""


# Signed distances (n, h, w) to the outlines of shapes with a radius of about 1: negative inside, x to the right, y
# downwards. Near corners the distances may be too small, which antialiasing does not show.


def circle(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a circle of radius 1."""
    return torch.hypot(x, y) - 1


def ring(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a ring from radius 0.5 to 1."""
    return (torch.hypot(x, y) - 0.75).abs() - 0.25


def square(x: Tensor, y: Tensor, half: float = 0.85) -> Tensor:
    """Return the signed distance to an upright square with half side `half`."""
    return torch.maximum(x.abs(), y.abs()) - half


def cross(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a cross of two bars, three times as long as wide."""
    long, wide = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    return torch.maximum(long - 1, wide - 0.33)


def diamond(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a diamond, 1.5 times as high as wide."""
    across, up = 1 / 0.75, 1 / 1.125
    return (x.abs() * across + y.abs() * up - 1) / math.hypot(across, up)


def triangle(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to an equilateral triangle on its side; corners are 1.2 from its centre."""
    y = y - 0.15
    return torch.maximum(y, x.abs() * math.sqrt(3) / 2 - y / 2) - 0.6


def star(x: Tensor, y: Tensor, points: int = 5, inner: float = 0.45) -> Tensor:
    """Return the signed distance to a star with one tip upwards; tips have radius 1.1, inner corners `inner`."""
    outer, sector = 1.1, math.pi / points
    angle = (torch.atan2(x, -y) + sector).remainder(2 * sector).sub(sector).abs()
    radius = torch.hypot(x, y)
    end = (inner * math.cos(sector), inner * math.sin(sector))  # the edge runs from (outer, 0) to this corner
    edge = (end[0] - outer, end[1])
    distance = edge[1] * (radius * angle.cos() - outer) - edge[0] * radius * angle.sin()
    return distance / math.hypot(*edge)


def heart(x: Tensor, y: Tensor, half: float = 0.6) -> Tensor:
    """Return the signed distance to a heart: a square of half side `half` on its corner, with two half discs on top."""
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
JITTERS = 7  # two for the position, one for the size, one for the angle, three for the colour

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
"""Synonyms in captions; other names are used as they are."""

TEMPLATES = (
    "{thing}{place}{background}",
    "there is {thing}{place}{background}",
    "this image shows {thing}{place}{background}",
    "a picture of {thing}{place}{background}",
    "{background}, {thing}{place}",
    "{place}{background} there is {thing}",
)


@dataclass(frozen=True, kw_only=True)
class CaptionedShapes(CaptionedImageDataset):
    """Images of one shape each, with independent colour, shape, size, position and background.

    Some pairs of colour and shape are not trained on. The test split consists of these pairs only, which measures
    zero-shot generalisation: whether a model has learned the words of a caption separately.

    Args:
        count: number of images for training and validation.
        test_count: number of images in the test split.
        colours: colours of the shapes.
        shapes: kinds of shapes.
        unseen: pairs in the test split, as names ("red circle") or as a number; a number spreads them over as many
            colours and shapes as possible.
        phrasings: captions per image. Each mentions colour and shape, and each of size, position and background with
            probability ½.
        seed: fixes images and captions.

    Raises:
        ValueError: an argument is invalid, or a colour or shape would occur in no training image.
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
            raise ValueError("dataset.flip=true would make captions with left or right wrong; set dataset.flip=false")
        if self.channels != 3:
            raise ValueError("dataset.channels must be 3, since captions mention colours")
        for option, names, all_names in (("colours", self.colours, COLOURED), ("shapes", self.shapes, SHAPES)):
            if not names or not set(names) <= set(all_names):
                raise ValueError(f"dataset.{option} must be some of {format_choices(all_names)}, not {list(names)}")
        left = [pair for pair in product(self.colours, self.shapes) if pair not in self.unseen_pairs]
        for option, names, place in (("colours", self.colours, 0), ("shapes", self.shapes, 1)):
            if gone := sorted(set(names) - {pair[place] for pair in left}):
                raise ValueError(
                    f"dataset.unseen leaves no training images for dataset.{option} {format_choices(tuple(gone))}; "
                    "hold out fewer pairs"
                )

    @property
    def unseen_pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of colour and shape in the test split."""
        colours, shapes = tuple(self.colours), tuple(self.shapes)
        if not isinstance(self.unseen, int):
            pairs = {f"{colour} {shape}": (colour, shape) for colour, shape in product(colours, shapes)}
            names = [match_name(name, tuple(pairs)) for name in self.unseen]
            if None in names or len(set(names)) < len(names):
                raise ValueError(
                    f"dataset.unseen={list(self.unseen)} must be different pairs such as {next(iter(pairs))!r}"
                )
            return tuple(pairs[name] for name in names if name is not None)
        if not 0 <= self.unseen < len(colours) * len(shapes):
            raise ValueError(
                f"dataset.unseen={self.unseen} must be at least 0 and below the number of pairs, "
                f"{len(colours) * len(shapes)}"
            )
        # Pairs lie on diagonals of the table of colours and shapes; each has every colour once.
        start = torch.randperm(len(shapes), generator=rng(self.seed, 2)).tolist()
        turns = (divmod(i, len(colours)) for i in range(self.unseen))
        return tuple((colours[i], shapes[(start[i % len(shapes)] + turn) % len(shapes)]) for turn, i in turns)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The names of colours, shapes, sizes, positions and backgrounds."""
        backgrounds = tuple(f"{name} background" for name in BACKGROUNDS)
        return tuple(self.colours), tuple(self.shapes), tuple(RADII), tuple(POSITIONS), backgrounds

    @property
    def labels(self) -> Attributes:
        """One attribute of each group: colour, shape, size, position, background."""
        return Attributes(tuple(name for group in self.groups for name in group), self.groups)

    @property
    def has_test(self) -> bool:
        """Whether pairs are held out for testing."""
        return bool(self.unseen_pairs)

    def source(self) -> CaptionedSource:
        """Generate the images for training and validation."""
        unseen = set(self.unseen_pairs)
        return self.generate(self.count, [p for p in product(self.colours, self.shapes) if p not in unseen], 0)

    def test_source(self) -> CaptionedSource:
        """Generate the images of the test split."""
        return self.generate(self.test_count, self.unseen_pairs, 1)

    def generate(self, n: int, pairs: Sequence[tuple[str, str]], number: int) -> CaptionedSource:
        """Generate n captioned images with uniformly drawn pairs of colour and shape, by random stream `number`."""
        generator = rng(self.seed, number)
        draw = partial(torch.randint, size=(n,), generator=generator)
        place = torch.tensor([(self.colours.index(colour), self.shapes.index(shape)) for colour, shape in pairs])
        chosen = place[draw(len(pairs))]
        others = torch.stack([draw(len(group)) for group in self.groups[2:]], 1)
        scenes = torch.cat([chosen, others], 1)
        jitter = torch.rand(n, JITTERS, generator=generator) * 2 - 1
        images = Scenes("drawn shapes", self.groups, scenes, jitter, self.image_size)
        return CaptionedSource(images, self.caption(scenes, generator))

    def caption(self, scenes: Tensor, generator: torch.Generator) -> Captions:
        """Generate the captions of scenes (n, 5), `phrasings` per scene."""
        scenes = scenes.repeat_interleave(self.phrasings, 0)
        mentioned = torch.randint(2, scenes.shape, generator=generator)
        mentioned[:, :2] = 1
        dice = torch.randint(2**30, (len(scenes), scenes.shape[1] + 1), generator=generator)
        choices = [[WORDS.get(name, (name,)) for name in group] for group in self.groups]
        texts = [sentence(choices, *row) for row in zip(scenes.tolist(), mentioned.tolist(), dice.tolist())]
        parts = [one_hot(column, len(group)) for column, group in zip(scenes.T, self.groups)]
        labels = torch.cat([part * there[:, None] for part, there in zip(parts, mentioned.T)], 1)
        first = torch.arange(0, len(scenes) + 1, self.phrasings)
        return Captions(encode_all(texts, self.caption_length), first, labels.to(torch.uint8))


def sentence(
    choices: Sequence[Sequence[Sequence[str]]], scene: Sequence[int], mentioned: Sequence[int], dice: Sequence[int]
) -> str:
    """Return a sentence that describes a scene.

    Args:
        choices: synonyms of each attribute, by group.
        scene: index of the attribute in each group.
        mentioned: whether the sentence mentions each group; colour and shape must be.
        dice: random integers that choose the synonym of each group, and the template.
    """
    colour, shape, size, position, background = (
        words[place][die % len(words[place])] if there else ""
        for words, place, there, die in zip(choices, scene, mentioned, dice)
    )
    adjectives = f"{size} {colour}" if size else colour
    thing = f"{'an' if adjectives[0] in 'aeiou' else 'a'} {adjectives} {shape}"
    templates = len(TEMPLATES) if position and background else len(TEMPLATES) - 1 if background else len(TEMPLATES) - 2
    text = TEMPLATES[dice[-1] % templates].format(thing=thing, place=f" {position}", background=f" {background}")
    return " ".join(text.split())


class Scenes(Source):
    """Images of shapes, drawn when they are read.

    Args:
        name: name for messages.
        groups: names of colours, shapes, sizes, positions and backgrounds.
        scenes: index in each group (n, 5).
        jitter: random variations (n, 7) in [−1, 1], so that no two images are equal.
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
        """Return a subset of the images, ordered by index; `indices` are (k,)."""
        chosen = indices.sort().values
        return Scenes(self.name, self.groups, self.scenes[chosen], self.jitter[chosen], self.size)

    def chunks(self, workers: int, size: int = CHUNK) -> Iterator[Item]:
        """Yield images (k, 3, h, w) and labels (k, dim) in order, in chunks of `size`."""
        for start in range(0, len(self), size):
            yield self.draw(slice(start, start + size))

    def draw(self, rows: slice) -> Item:
        """Draw antialiased images (k, 3, h, w) uint8, and return them with their labels (k, dim)."""
        scenes, jitter = self.scenes[rows], self.jitter[rows]
        labels = torch.cat([one_hot(column, len(group)) for column, group in zip(scenes.T, self.groups)], 1)
        covered = self.coverage(scenes, jitter).unsqueeze(1)
        palette = torch.tensor([COLOURS[name] for name in self.groups[0]])
        ink = (palette[scenes[:, 0]] + 15 * jitter[:, 4:]).clamp(0, 255).view(-1, 3, 1, 1)
        paper = torch.tensor(list(BACKGROUNDS.values()))[scenes[:, 4]].view(-1, 1, 1, 1)
        return (paper + covered * (ink - paper)).round().to(torch.uint8), labels

    def coverage(self, scenes: Tensor, jitter: Tensor) -> Tensor:
        """Return the covered fraction of each pixel (k, side, side), from its distance to the outline in pixels."""
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
