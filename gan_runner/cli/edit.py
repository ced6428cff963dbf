"""Images through a trained encoder, for `gan-sample`: what comes back of them, what lies between, what they lack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_runner.cli.arguments import refuse
from gan_runner.datasets.images import fit, normalised
from gan_runner.errors import ConfigError, DataError
from gan_runner.plots.grids import add_headings, flanked, image_grid, pairs_grid
from gan_runner.runs.saved import Checkpoint
from gan_runner.sampling.attributes import attribute_vector
from gan_runner.sampling.inference import encode, encoder_of, paths, reconstruct
from gan_runner.system import System

ROWS = 8
"""The default number of draws from the prior."""

COLUMNS = 8
"""Images a row, or steps from one image to another."""

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""How many times an attribute vector is added."""

WAYS = ("reconstruct", "between", "attribute")


def way_of(options: argparse.Namespace) -> str | None:
    """Which of these is asked for, if any.

    Raises:
        ConfigError: the command line says how, and not what.
    """
    refuse(
        (
            options.strength is not None and options.attribute is None,
            "--strength says how much of an attribute; add --attribute NAME",
        )
    )
    return next((way for way in WAYS if getattr(options, way) is not None), None)


def edited(system: System, options: argparse.Namespace, checkpoint: Checkpoint) -> tuple[list[str], np.ndarray]:
    """The picture that is asked for (height, width, 3), and words of which its file's name is made.

    Raises:
        ConfigError: the run cannot do it, or options do not go together.
        DataError: a file is no image.
    """
    way = way_of(options)
    assert way is not None
    check(system, options, way)
    if way == "attribute":
        return with_attribute(system, options, checkpoint)
    files = getattr(options, way)
    images = read_images(files, system.dataset.shape)
    words = [path.stem for path in files]
    if way == "between":
        first, second = images.to(system.device).split(1)
        return ["between", *words], flanked(paths(system, first, second, COLUMNS), first, second)
    return ["reconstruction", *words], pairs_grid(images, reconstruct(system, images).cpu(), COLUMNS)


def with_attribute(system: System, options: argparse.Namespace, checkpoint: Checkpoint) -> tuple[list[str], np.ndarray]:
    """Images, or samples where none are named, with more and less of an attribute; and words for the file's name."""
    name, *files = options.attribute
    paths = list(map(Path, files))
    vector = vector_of(system, checkpoint, name)
    images = read_images(paths, system.dataset.shape)
    strengths = [f"{strength:g}".replace("-", "minus") for strength in options.strength or ()]
    source = [path.stem for path in paths] or [f"seed{options.seed}"]
    return ["attribute", name, *strengths, *source], attribute_grid(system, options, vector, images)


def check(system: System, options: argparse.Namespace, way: str) -> None:
    """Raise ConfigError for a run without an encoder, for points, or for options that choose something else."""
    starts_from_noise = way == "attribute" and len(options.attribute) == 1
    refuse(
        (
            encoder_of(system) is None,
            f"--{way} needs a run with an encoder, and this one has none; train one such as game=vae",
        ),
        (len(system.dataset.shape) != 3, f"--{way} shows images, and this run generates points; leave it out"),
        (
            any(getattr(options, other) for other in ("reject", "weigh", "label", "text", "style")),
            f"--{way} chooses codes; leave out --reject, --weigh, --label, --text and --style",
        ),
        (options.gamma is not None, "--gamma is how strict --reject is; leave it out"),
        (
            (options.n is not None or options.seed) and not starts_from_noise,
            f"--{way} starts from the images that are named, and draws nothing; leave out --n and --seed",
        ),
    )


def read_images(files: Sequence[Path], shape: Sequence[int]) -> Tensor:
    """Images as a run's data: resized, cropped and converted, (n, c, h, w) in [−1, 1].

    Raises:
        DataError: a file is missing, or no image.
    """
    channels, side, _ = shape
    pixels = []
    for path in files:
        try:
            with Image.open(path) as file:
                pixels.append(fit(file, side, channels))
        except FileNotFoundError as error:
            raise DataError(f"there is no image {path}; give the path of one") from error
        except Exception as error:  # whatever a decoder makes of broken bytes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path} cannot be read as an image ({reason}); give a PNG or JPEG file") from error
    return normalised(torch.stack(pixels)) if pixels else torch.empty(0, *shape)


def vector_of(system: System, checkpoint: Checkpoint, name: str) -> Tensor:
    """The vector (latent_dim,) of an attribute, from what the run kept of its data.

    Raises:
        ConfigError: it kept nothing, or there is no such attribute.
    """
    means, labels = checkpoint.state.get("attributes"), system.dataset.labels
    if means is None or labels is None:
        raise ConfigError(
            "--attribute needs mean codes of labelled data, and this run kept none; train on data with labels and with "
            "observer.attributes"
        )
    try:
        return attribute_vector(means, labels, name).to(system.device)
    except ValueError as error:
        raise ConfigError(f"--attribute {name}: {error}") from error


def attribute_grid(system: System, options: argparse.Namespace, vector: Tensor, images: Tensor) -> np.ndarray:
    """A row an image, or a draw from the prior where there are none, and a column a strength: (height, width, 3)."""
    strengths = torch.tensor(options.strength or STRENGTHS, device=system.device)
    draws = ROWS if options.n is None else -(-options.n // len(strengths))
    codes = encode(system, images) if len(images) else system.noise(draws, options.seed)
    each = codes.repeat_interleave(len(strengths), 0)
    by = strengths.repeat(len(codes)).unsqueeze(1) * vector
    made = system.sample(system.game.latent.shift(each, by))
    values = [f"{strength:+g}" for strength in strengths.tolist()]
    if not len(images):
        return add_headings(image_grid(made, len(strengths), gap=2), values)
    return flanked(made.unflatten(0, (len(images), len(strengths))), images.to(made), headings=values)
