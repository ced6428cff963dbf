"""Edit images by a trained encoder, for `gan-sample`: reconstruct, interpolate, add or remove an attribute."""

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
"""The default number of samples from the prior."""

COLUMNS = 8
"""Images per row, or interpolation steps from one image to another."""

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""The default multiples of an attribute vector that are added."""

EDITS = ("reconstruct", "between", "attribute")
"""The options of `gan-sample` that edit images."""


def edit_option(options: argparse.Namespace) -> str | None:
    """The option of `EDITS` that was given, if any.

    Raises:
        ConfigError: there is --strength without --attribute.
    """
    refuse(
        (
            options.strength is not None and options.attribute is None,
            "--strength is the amount of an attribute; add --attribute NAME",
        )
    )
    return next((edit for edit in EDITS if getattr(options, edit) is not None), None)


def edited(system: System, options: argparse.Namespace, checkpoint: Checkpoint) -> tuple[list[str], np.ndarray]:
    """The words for the file name, and the requested picture (height, width, 3).

    Raises:
        ConfigError: the run cannot do it, or options exclude each other.
        DataError: a file is not an image.
    """
    edit = edit_option(options)
    assert edit is not None
    check(system, options, edit)
    if edit == "attribute":
        return with_attribute(system, options, checkpoint)
    files = getattr(options, edit)
    images = read_images(files, system.dataset.shape)
    words = [path.stem for path in files]
    if edit == "between":
        first, second = images.to(system.device).split(1)
        return ["between", *words], flanked(paths(system, first, second, COLUMNS), first, second)
    return ["reconstruction", *words], pairs_grid(images, reconstruct(system, images).cpu(), COLUMNS)


def with_attribute(system: System, options: argparse.Namespace, checkpoint: Checkpoint) -> tuple[list[str], np.ndarray]:
    """The words for the file name, and images (samples if none are named) with an attribute added or removed."""
    name, *files = options.attribute
    paths = list(map(Path, files))
    vector = vector_of(system, checkpoint, name)
    images = read_images(paths, system.dataset.shape)
    strengths = [f"{strength:g}".replace("-", "minus") for strength in options.strength or ()]
    source = [path.stem for path in paths] or [f"seed{options.seed}"]
    return ["attribute", name, *strengths, *source], attribute_grid(system, options, vector, images)


def check(system: System, options: argparse.Namespace, edit: str) -> None:
    """Raise ConfigError for a run without an encoder, for points, or for options that do not apply to an edit."""
    starts_from_noise = edit == "attribute" and len(options.attribute) == 1
    refuse(
        (
            encoder_of(system) is None,
            f"--{edit} needs a run with an encoder, and this run has none; train one with, for example, game=vae",
        ),
        (len(system.dataset.shape) != 3, f"--{edit} works on images, but this run generates points; leave it out"),
        (
            any(getattr(options, other) for other in ("reject", "weigh", "label", "text", "style")),
            f"--{edit} sets the latents itself; leave out --reject, --weigh, --label, --text and --style",
        ),
        (options.gamma is not None, "--gamma only has an effect with --reject; leave it out"),
        (
            (options.n is not None or options.seed) and not starts_from_noise,
            f"--{edit} starts from the named images and samples nothing; leave out --n and --seed",
        ),
    )


def read_images(files: Sequence[Path], shape: Sequence[int]) -> Tensor:
    """Images in the format of a run's data: resized, cropped and converted, (n, c, h, w) in [−1, 1].

    Raises:
        DataError: a file is missing, or not an image.
    """
    channels, side, _ = shape
    pixels = []
    for path in files:
        try:
            with Image.open(path) as file:
                pixels.append(fit(file, side, channels))
        except FileNotFoundError as error:
            raise DataError(f"there is no file {path}; give the path of an image") from error
        except Exception as error:  # decoders raise many kinds for broken files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path} cannot be read as an image ({reason}); give a PNG or JPEG file") from error
    return normalised(torch.stack(pixels)) if pixels else torch.empty(0, *shape)


def vector_of(system: System, checkpoint: Checkpoint, name: str) -> Tensor:
    """The vector (latent_dim,) of an attribute, from the mean codes in the checkpoint.

    Raises:
        ConfigError: the checkpoint has none, or there is no such attribute.
    """
    means, labels = checkpoint.state.get("attributes"), system.dataset.labels
    if means is None or labels is None:
        raise ConfigError(
            "--attribute needs the mean codes of labelled data, and this run saved none; train on data with labels and "
            "with observer.attributes"
        )
    try:
        return attribute_vector(means, labels, name).to(system.device)
    except ValueError as error:
        raise ConfigError(f"--attribute {name}: {error}") from error


def attribute_grid(system: System, options: argparse.Namespace, vector: Tensor, images: Tensor) -> np.ndarray:
    """A grid (height, width, 3) with a row per image, or per sample if there are none, and a column per strength."""
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
