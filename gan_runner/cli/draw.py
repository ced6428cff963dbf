"""Drawing what `gan-sample` is asked for: grids, files, interpolations, traversals."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_runner.cli.arguments import DEFAULT_SAMPLES, refuse
from gan_runner.cli.edit import edit_option, edited, read_images
from gan_runner.config.suggestions import did_you_mean
from gan_runner.datasets.base import HasDensity
from gan_runner.errors import ConfigError
from gan_runner.games.base import InfersCodes
from gan_runner.models.conditions import LabelCondition, condition_network
from gan_runner.models.latents import spherical_interpolation
from gan_runner.plots.grids import draw_traversal, image_grid, save_image, to_uint8
from gan_runner.plots.samples import draw
from gan_runner.runs.saved import open_checkpoint
from gan_runner.sampling.inference import infer
from gan_runner.sampling.rejection import effective_sample_size, importance_weights, rejection_samples
from gan_runner.sampling.traversals import traverse
from gan_runner.system import System
from gan_runner.tools.files import write_atomically

STEPS = 8
"""Pictures from one latent to another."""


def run(options: argparse.Namespace) -> list[Path]:
    """Load a run, draw samples, and write them; return the paths."""
    checkpoint = open_checkpoint(options.run, options.checkpoint)
    system = checkpoint.system(options.device, options.trust)
    folder = checkpoint.folder / "samples" if checkpoint.is_in_run else checkpoint.folder
    if options.checkpoint == "best":
        folder /= "best"
    if edit_option(options) is not None:
        words, pixels = edited(system, options, checkpoint)
        path = options.picture or folder / f"{words[0]}{file_name(words[1:])}.png"
        save_image(path, pixels)
        return [path]
    check_conditions(system, options)
    check_combination(system, options)
    if options.traverse is not None:
        return draw_traversals(system, options, folder)
    if options.interpolate:
        return [draw_interpolation(system, options, folder)]
    samples, rows = samples_of(system, options)
    if options.out is not None:
        weights = importance_weights(system, samples, rows) if options.weigh and rows is not None else None
        write_separately(system, options.out, samples, rows, weights)
        return [options.out]
    return [draw_grid(system, options, folder, samples, rows)]


def check_conditions(system: System, options: argparse.Namespace) -> None:
    """Check that labels or sentences are given only to a generator with that condition.

    Raises:
        ConfigError: the generator has another condition, or none.
    """
    for option in ("label", "text"):
        if not getattr(options, option):
            continue
        condition: Any = system.networks.get("condition")
        if condition is None:
            codes = "; for its codes use --traverse" if isinstance(system.game, InfersCodes) else ""
            raise ConfigError(f"this run's generator takes no condition; leave out --{option}{codes}")
        if condition.sample_option != option:
            raise ConfigError(
                f"this run's generator takes a --{condition.sample_option}, not a --{option}; use that one"
            )


def check_combination(system: System, options: argparse.Namespace) -> None:
    """Raise ConfigError for options that exclude each other, or do not fit the run's data."""
    chosen = options.reject or options.weigh
    conditions = options.label or options.text
    traversed = options.traverse is not None
    shape = system.dataset.shape
    refuse(
        (
            options.out is not None and options.out.suffix.lower() in (".png", ".jpg", ".jpeg"),
            "--out is a folder for one file per sample, or FILE.npz; for one picture of all samples use --picture FILE",
        ),
        (options.gamma is not None and not options.reject, "--gamma only has an effect with --reject; add --reject"),
        (
            options.style is not None and (options.interpolate or traversed or chosen),
            "--style sets the latents; leave out --interpolate, --traverse, --reject and --weigh",
        ),
        (options.interpolate and chosen, "--interpolate sets the latents; leave out --reject and --weigh"),
        (
            options.interpolate and len(shape) != 3,
            "--interpolate works on images, but this run generates points; leave it out",
        ),
        (
            traversed and (chosen or conditions),
            "--traverse sets the codes; leave out --reject, --weigh, --label and --text",
        ),
        (
            traversed and options.n is not None,
            "--traverse always shows ten latents per code; leave out --n",
        ),
        (
            options.weigh and (options.out is None or options.reject),
            "--weigh writes the weights of unfiltered samples to a folder; add --out DIR, and leave out --reject",
        ),
        (chosen and conditions, "--reject and --weigh need unconditional samples; leave out --label and --text"),
    )


def draw_traversals(system: System, options: argparse.Namespace, folder: Path) -> list[Path]:
    """Draw a picture per code, or of one code, with ten latents and up to ten values; return the paths.

    Raises:
        ConfigError: there is no such code, or there are several codes for one --picture.
    """
    code = options.traverse or None
    names = names_of_codes(system)
    refuse(
        (not names, "--traverse needs codes, and this run's game has none; leave it out"),
        (
            code is not None and code not in names,
            f"--traverse {code}: there is no such code{did_you_mean(str(code), names)}",
        ),
        (
            options.picture is not None and code is None and len(names) > 1,
            f"--picture is one file, but there are {len(names)} codes; name one: --traverse {''.join(names[:1])}",
        ),
    )
    paths = []
    for name, samples, values in traverse(system, code, rows=10, columns=10, seed=options.seed):
        paths.append(options.picture or folder / f"traversal_{name}_seed{options.seed}.png")
        draw_traversal(paths[-1], samples, values)
    return paths


def names_of_codes(system: System) -> list[str]:
    """The names of the game's codes, if it has any."""
    return list(system.game.codes) if isinstance(system.game, InfersCodes) else []


def conditions_in(options: argparse.Namespace) -> list[str]:
    """The labels and sentences on the command line."""
    return [*options.label, *options.text]


def file_name(conditions: Sequence[str]) -> str:
    """Conditions as part of a file name."""
    return "".join("_" + re.sub(r"\W+", "-", text).strip("-")[:60] for text in conditions)


def draw_grid(system: System, options: argparse.Namespace, folder: Path, samples: Tensor, rows: Tensor | None) -> Path:
    """Draw all samples (n, *shape) in one picture, points over the data's density if it is known; return the path."""
    conditions = conditions_in(options)
    style = "" if options.style is None else f"_style-{options.style.stem}"
    kind = "grid_rejection" if options.reject else "grid"
    name = f"{kind}{style}{file_name(conditions)}_seed{options.seed}_n{len(samples)}.png"
    path: Path = options.picture or folder / name
    captions = conditions or (captions_of(system, rows) if samples.dim() == 2 else [])
    draw(path, samples, system.dataset if isinstance(system.dataset, HasDensity) else None, captions=captions)
    return path


def draw_interpolation(system: System, options: argparse.Namespace, folder: Path) -> Path:
    """Draw rows of interpolations between latents; with two conditions, also between the conditions."""
    conditions = conditions_in(options)
    rows = -(-(options.n or DEFAULT_SAMPLES) // STEPS)
    dim = system.game.latent.dim
    first, second = system.noise(2 * rows, options.seed).chunk(2)
    first = with_condition(system, first, conditions[:1])
    if len(conditions) < 2:
        second = torch.cat([second[:, :dim], first[:, dim:]], 1)
    else:
        second = with_condition(system, first, conditions[1:])
    weights = torch.linspace(0, 1, STEPS, device=first.device).view(1, -1, 1)
    between = first[:, dim:].unsqueeze(1).lerp(second[:, dim:].unsqueeze(1), weights).flatten(0, 1)
    latents = spherical_interpolation(torch.cat([first[:, :dim], second[:, :dim]]), STEPS)
    images = system.sample(torch.cat([latents, between], 1))
    path: Path = options.picture or folder / f"interpolation{file_name(conditions)}_seed{options.seed}.png"
    save_image(path, image_grid(images, STEPS))
    return path


def with_condition(system: System, noise: Tensor, conditions: Sequence[str]) -> Tensor:
    """Rows of noise (n, …) with the given condition, if there is one.

    Raises:
        ConfigError: several conditions are given, or the condition is invalid.
    """
    if not conditions:
        return noise
    if len(conditions) > 1:
        raise ConfigError("give one --label or --text, or two with --interpolate")
    condition = condition_network(system.networks)
    try:
        wanted = condition.parse(conditions[0])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if unknown := condition.ignored(conditions[0]):
        print(f"gan-sample: the text encoder ignores parts of --{condition.sample_option}: {unknown}", file=sys.stderr)
    return torch.cat([noise[:, : system.game.latent.dim], wanted.to(noise).expand(len(noise), -1)], 1)


def captions_of(system: System, rows: Tensor | None) -> list[str]:
    """The label of each sample, from the rows of noise (n, …) it was made from; empty without labels."""
    condition: Any = system.networks.get("condition")
    if condition is None or rows is None:
        return []
    return [condition.labels.describe(vector) for vector in rows[:, system.game.latent.dim :].cpu()]


def with_style(system: System, noise: Tensor, image: Path | None) -> Tensor:
    """Rows of noise (n, …) with the latent that the style encoder infers from an image, if one is given.

    Raises:
        ConfigError: the run has no style encoder.
        DataError: the file is missing, or not an image.
    """
    if image is None:
        return noise
    if "style" not in system.networks:
        raise ConfigError(
            "--style needs a run with a style encoder, and this run has none; train with regularizer=[style_encoder]"
        )
    pixels = read_images([image], system.dataset.shape)
    latent = infer(system, lambda networks, x: networks["style"](x), pixels)
    return torch.cat([latent.expand(len(noise), -1), noise[:, latent.shape[1] :]], 1)


def samples_of(system: System, options: argparse.Namespace) -> tuple[Tensor, Tensor | None]:
    """Samples (n, *shape), and the rows of noise (n, …) that they were made from; None for rejection sampling.

    If a style determines the samples completely, they would all be equal, and only one is drawn.

    Raises:
        ConfigError: with --reject, the critic of the run's loss estimates no density ratio.
    """
    n = options.n or DEFAULT_SAMPLES
    if options.reject:
        samples, share = rejection_samples(system, n, options.seed, options.gamma or 0.0)
        print(f"accepted {share:.1%} of the samples")
        return samples, None
    noise = with_condition(system, system.noise(n, options.seed), conditions_in(options))
    rows = with_style(system, noise, options.style)
    if options.style is not None and (rows == rows[0]).all():
        rows = rows[:1]
    return system.sample(rows), rows


def write_separately(system: System, out: Path, samples: Tensor, rows: Tensor | None, weights: Tensor | None) -> None:
    """Write samples into a folder: PNG files, or points as the rows of `samples.csv`; weights as `weights.csv`.

    With the ending .npz it is one file instead, as evaluation scripts of others read it: `arr_0` has images as bytes
    (n, h, w, c), or points (n, d); `arr_1` the labels, if the generator takes some: class indices (n,), or attributes
    (n, dim); `weights` the weights (n,), if there are any.
    """
    if weights is not None:
        print(f"effective sample size {effective_sample_size(weights):.0f} of {len(weights)}")
    images = to_uint8(samples).permute(0, 2, 3, 1).cpu().numpy() if samples.dim() == 4 else None
    if out.suffix.lower() == ".npz":
        labels = labels_of(system, rows)
        arrays: dict[str, Any] = {"arr_0": samples.cpu().numpy() if images is None else images}
        arrays |= {} if labels is None else {"arr_1": labels.numpy()}
        arrays |= {} if weights is None else {"weights": weights.cpu().numpy()}
        write_atomically(out, lambda file: np.savez(file, **arrays))
        return
    if images is None:
        write_table(out / "samples.csv", samples, [f"x{number + 1}" for number in range(samples.shape[1])])
    else:
        for number, pixels in enumerate(images):
            save_image(out / f"{number:05d}.png", pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    if weights is not None:
        write_table(out / "weights.csv", weights, ["weight"])


def write_table(path: Path, values: Tensor, columns: Sequence[str]) -> None:
    """Write numbers (n,) or (n, columns) as CSV under a line with the names of the columns."""
    numbers, header = values.cpu().numpy(), ",".join(columns)
    write_atomically(path, lambda file: np.savetxt(file, numbers, delimiter=",", header=header, comments=""))


def labels_of(system: System, rows: Tensor | None) -> Tensor | None:
    """The labels of samples, as a dataset yields them, from the rows of noise (n, …); None without labels."""
    condition: Any = system.networks.get("condition")
    if condition is None or rows is None or not isinstance(condition, LabelCondition):
        return None
    return condition.labels.from_vectors(rows[:, system.game.latent.dim :].cpu())
